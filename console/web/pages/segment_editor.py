"""The builder of a segment's rule and exit rule: a form that is drawn again at each press of a button, and a count.

Nothing is kept between two requests: the form carries the rules, and the version that it is an edit of.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, cast

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import RedirectResponse

from campaigns.definition_versions import name_segment
from console.errors import FOR_PEOPLE
from console.segment_views import describe_diff, percent
from console.use_cases.definition_edits import find_definition, is_editable, save_segment, show_content
from console.use_cases.segment_check import check_segments
from console.use_cases.segment_diff import compare_segment
from console.use_cases.segment_preview import preview_segment
from console.web.authentication import Editor
from console.web.context import Context
from console.web.customer_views import mask, note_view
from console.web.draft_backtests import begin_draft_backtest, read_period, show_period, today
from console.web.errors import InvalidRequestError
from console.web.inputs import FormFields
from console.web.job_desk import DraftOf, find_draft
from console.web.pages.segments import MODE_WORDS
from console.web.rendering import render
from console.web.rule_form import (
    EXIT_RULE,
    ROOTS,
    RULE,
    apply_button,
    name_place,
    read_fields,
    redraw,
)
from segments.definition import build_segment
from segments.errors import RuleError
from segments.rule_tree import (
    EVERYBODY,
    Condition,
    Group,
    build_rule,
    draw_rule,
    find_json_path,
    read_json,
    walk,
    write_json,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from console.access.roles import Principal
    from console.use_cases.segment_diff import SegmentDiff
    from console.use_cases.segment_preview import SegmentPreview
    from console.web.context import WebContext
    from segments.engine import Mode
    from segments.rule_tree import Path as PartPath
    from segments.rule_tree import Tree

router = APIRouter(prefix="/segments")
Key = Annotated[str, Path(max_length=64)]
EXAMPLES = 5
COUNT_WITHIN_S = 4.0
UNNAMED = {"key": "new-segment", "name": "New segment"}


@dataclass
class Draft:
    """A segment that is being edited.

    Attributes:
        key: empty for a new segment whose key is not entered yet.
        trees: its rule and its exit rule, by the beginning of their places; see console/web/rule_form.py.
        texts: name, description, mode and reason, as the form has them.
        base: what the edit is of: the number of a version, or empty.
        problems: by the place of the part, as the form names it.
        problem: about all of it.
        json_texts: JSON entered next to the form that cannot be read, by the tree that it was to be.
        json_problems: what is wrong with it.
    """

    key: str
    trees: dict[str, Tree]
    texts: dict[str, str]
    base: str = ""
    problems: dict[str, str] = field(default_factory=dict)
    problem: str = ""
    json_texts: dict[str, str] = field(default_factory=dict)
    json_problems: dict[str, str] = field(default_factory=dict)

    def press(self, button: str) -> None:
        """Change the trees as a button says; an exit rule that is left without conditions is none."""
        self.trees = {root: apply_button(redraw(tree), button, root) for root, tree in self.trees.items()}
        exit_rule = self.trees[EXIT_RULE]
        if isinstance(exit_rule, Group) and not exit_rule.parts:
            self.trees[EXIT_RULE] = EVERYBODY

    def build(self) -> dict[str, Any] | None:
        """Return the content of the definition; None where a part is no rule yet, and note what is wrong with it."""
        built = {root: build_rule(tree) for root, tree in self.trees.items()}
        wrong = {name_place(each.path, root): each.said for root, (_, found) in built.items() for each in found}
        self.problems |= wrong
        content: dict[str, Any] = {"key": self.key or UNNAMED["key"], "name": self.texts["name"] or UNNAMED["name"]}
        if self.texts["description"]:
            content["description"] = self.texts["description"]
        content["rule"], exit_rule = (built[root][0] for root in (RULE, EXIT_RULE))
        if exit_rule is not None:
            content["exit_rule"] = exit_rule
        return None if wrong else content

    def list_parts(self) -> list[tuple[str, PartPath, Tree]]:
        """Return every part of both trees, with the beginning of its place, and its path."""
        return [(root, path, part) for root, tree in self.trees.items() for path, part in walk(tree)]

    def blame(self, sentence: str) -> bool:
        """Note a problem at the conditions whose fact it names, and return whether there are any."""
        meant = [root for root, name in ROOTS.items() if f"$.{name} " in sentence] or list(ROOTS)
        blamed = {
            name_place(path, root): _plain(sentence)
            for root, path, part in self.list_parts()
            if root in meant and isinstance(part, Condition) and repr(part.fact) in sentence
        }
        self.problems |= blamed
        return bool(blamed)

    @property
    def base_version(self) -> int | None:
        """The number of the version that the edit is of; None of a new segment, or of a file."""
        return int(self.base) if self.base.isdecimal() else None

    def blame_rule_error(self, error: RuleError) -> bool:
        """Note an error of the compiler at the smallest part that has it, and return whether there is one."""
        meant = EXIT_RULE if f": {ROOTS[EXIT_RULE]}: " in str(error) else RULE
        where = [
            (len(found), name_place(path, root))
            for root, path, _ in self.list_parts()
            if root == meant and error.path.startswith(found := find_json_path(self.trees[root], path))
        ]
        if where:
            self.problems[max(where)[1]] = str(error)
        return bool(where)


@router.get("/_new")
def begin(request: Request, context: Context, _: Editor) -> Response:
    """Show the builder with empty rules."""
    return _show(request, context, Draft("", dict.fromkeys(ROOTS, EVERYBODY), _texts({})), key="")


@router.post("/_new")
def edit_new(request: Request, context: Context, principal: Editor, fields: FormFields) -> Response:
    """Draw the form of a new segment again after a button was pressed, or save it."""
    return _edit(request, context, principal, fields, "")


@router.post("/_count")
def count(request: Request, context: Context, principal: Editor, fields: FormFields) -> Response:
    """Return for how many customers the rule in the form holds, with examples and what is wrong with it."""
    draft = _read_draft(context, fields, fields.get("key", ""))
    shown: dict[str, Any] = {
        "is_part": True,
        "places": [name_place(path, root) for root, path, _ in draft.list_parts()],
    }
    content = draft.build()
    found: SegmentPreview | None = None
    trouble, said, notes = "The rule is not complete.", [], []
    if content is not None:
        try:
            segment = build_segment(content, where=content["key"])
            (verdict,) = check_segments(context.settings, segment)
            said = [_plain(each) for each in verdict.problems if not draft.blame(each)]
            notes = list(map(_plain, verdict.notes))
            found = None
            if not verdict.problems:
                found = preview_segment(context.settings, segment, limit=EXAMPLES, within_s=COUNT_WITHIN_S)
            trouble = "The rule does not fit the customers' columns."
        except RuleError as error:
            trouble = "The rule cannot be used."
            said = [] if draft.blame_rule_error(error) else [str(error)]
        except FOR_PEOPLE as error:
            trouble = str(error)
    shown |= {"trouble": draft.problem or trouble, "said": said, "notes": notes, "counted": found}
    shown["has_exit_rule"] = content is not None and "exit_rule" in content
    shown |= {"problems": draft.problems, "seconds": f"{COUNT_WITHIN_S:g}", "percent": percent}
    shown["examples"] = _show_examples(context, principal, found)
    return render(request, "segment_count.html", shown | {"address": "", "facts": {}})


@router.get("/{key}/edit")
def edit(request: Request, key: Key, context: Context, _: Editor, draft: DraftOf = None) -> Response:
    """Show the builder with a segment's rules, or with the draft of it that a job decides with."""
    name = name_segment(key)
    if draft is None:
        found = find_definition(context.settings, name)
        content, number = found.content, found.number
    else:
        tried = find_draft(context, draft, name)
        content, number = tried.read(), tried.base_version
    texts = {name: str(content.get(name, "")) for name in ("name", "description")}
    trees = {root: draw_rule(content.get(name)) for root, name in ROOTS.items()}
    base = "" if number is None else str(number)
    return _show(request, context, Draft(key, trees, _texts(texts), base), key=key)


@router.post("/{key}/edit")
def edit_again(request: Request, key: Key, context: Context, principal: Editor, fields: FormFields) -> Response:
    """Draw the form again after a button was pressed, or save the segment."""
    return _edit(request, context, principal, fields, key)


def _edit(request: Request, context: WebContext, principal: Principal, fields: Mapping[str, str], key: str) -> Response:
    draft, button = _read_draft(context, fields, key or fields.get("key", "")), fields.get("do", "")
    if button.startswith("json "):
        _draw_json(draft, button.removeprefix("json "), fields)
    else:
        draft.press(button)
    # What is wrong is drawn at once: the count says the same later, and would move what is below.
    content = draft.build()
    if button not in {"compare", "save", "backtest"}:
        return _show(request, context, draft, key=key)
    if content is None:
        draft.problem = draft.problem or "The rule is not complete: see below."
        return _show(request, context, draft, key=key)
    try:
        if done := _finish(context, principal, draft, content, fields):
            return RedirectResponse(done, 303)
        found = compare_segment(context.settings, build_segment(content, where=content["key"]), limit=0)
    except RuleError as error:
        if not draft.blame_rule_error(error):
            draft.problem = str(error)
        return _show(request, context, draft, key=key)
    except (InvalidRequestError, *FOR_PEOPLE) as error:
        draft.problem = str(error)
        return _show(request, context, draft, key=key)
    return _show(request, context, draft, key=key, content=content, comparison=found)


def _finish(
    context: WebContext, principal: Principal, draft: Draft, content: Mapping[str, Any], fields: Mapping[str, str]
) -> str | None:
    """Save or backtest a segment, and return where to look at it; None where neither is to be done."""
    if fields.get("do") == "backtest":
        name, period = name_segment(draft.key), read_period(fields, today())
        base = draft.base_version
        job = begin_draft_backtest(context, principal, name, content, base_version=base, period=period)
        return f"/jobs/{job.job_id}"
    if fields.get("do") == "save":
        if refused := _find_refusal(draft, content, fields):
            draft.problem = refused
            return None
        _save(context, principal, draft, content)
        return f"/segments/{draft.key}"
    return None


def _find_refusal(draft: Draft, content: Mapping[str, Any], fields: Mapping[str, str]) -> str | None:
    """Return why a segment is not saved yet."""
    if fields.get("compared") != _stamp(content):
        return "The segment was changed after its effect was shown: look at it again, and save then."
    return None if draft.texts["why"].strip() else "Say why the segment changes: the reason is kept with the version."


def _save(context: WebContext, principal: Principal, draft: Draft, content: Mapping[str, Any]) -> None:
    settings, why, by = context.settings, draft.texts["why"].strip(), principal.name
    mode = cast("Mode", draft.texts["mode"])
    saved = save_segment(settings, content, base_version=draft.base_version, by=by, why=why, mode=mode)
    detail = {"why": why, "version": saved.number, "mode": mode}
    context.accounts.record(by, "save segment", draft.key, detail=detail)


def _read_draft(context: WebContext, fields: Mapping[str, str], key: str) -> Draft:
    types = {each.name: each.type for each in context.facts.read().facts}
    trees = {root: read_fields(fields, types, root) for root in ROOTS}
    return Draft(key.strip(), trees, _texts(fields), fields.get("base", ""))


def _texts(fields: Mapping[str, str]) -> dict[str, str]:
    texts = {name: fields.get(name, "") for name in ("name", "description", "why")}
    texts |= show_period(fields, today())
    mode = fields.get("mode", "")
    return texts | {"mode": mode if mode in MODE_WORDS else "silent"}


def _draw_json(draft: Draft, root: str, fields: Mapping[str, str]) -> None:
    text = fields.get(f"whole:{root}", "")
    if root not in ROOTS:
        raise InvalidRequestError(f"a segment has no rule {root!r}; load the page again")
    try:
        draft.trees[root] = draw_rule(read_json(text)) if text.strip() else EVERYBODY
    except ValueError as error:
        draft.json_problems[root], draft.json_texts[root] = str(error), text


def _write_tree(tree: Tree) -> str:
    """Return a tree as JSON; nothing where it is no rule yet, or none."""
    rule, _ = build_rule(tree)
    return "" if rule is None else write_json(rule, indent=2)


def _stamp(content: Mapping[str, Any]) -> str:
    """Return a digest of a content."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _plain(sentence: str) -> str:
    """Return a problem without the name of the segment, which is before it, and without the place, which is drawn."""
    said = sentence.partition(": ")[2] or sentence
    return said.removeprefix("$.rule ").replace("$.exit_rule ", "the exit rule ", 1)


def _show_examples(context: WebContext, principal: Principal, found: SegmentPreview | None) -> list[dict[str, Any]]:
    shown = []
    for each in found.examples if found else ():
        note_view(context, principal, each.customer_id, "example of a rule")
        facts = mask(each.facts, principal, context.settings.personal_columns)
        shown.append({"customer_id": each.customer_id, "facts": facts})
    return shown


def _show(
    request: Request,
    context: WebContext,
    draft: Draft,
    *,
    key: str,
    content: Mapping[str, Any] | None = None,
    comparison: SegmentDiff | None = None,
) -> Response:
    shown = {
        "key": key,
        "address": f"/segments/{key}/edit" if key else "/segments/_new",
        "trees": draft.trees,
        "fields": {**draft.texts, "key": draft.key},
        "base": draft.base,
        "facts": {each.name: each for each in context.facts.read().facts},
        "problems": draft.problems,
        "problem": draft.problem,
        "json_texts": {root: _write_tree(tree) for root, tree in draft.trees.items()} | draft.json_texts,
        "json_problems": draft.json_problems,
        "editable": is_editable(context.settings),
        "modes": MODE_WORDS,
        "comparison": comparison,
        "sentences": describe_diff(comparison) if comparison else (),
        "compared": _stamp(content) if content else "",
        "file_json": show_content(content) if content else "",
        "file": f"segments/{draft.key or UNNAMED['key']}.json",
        "percent": percent,
    }
    return render(request, "segment_editor.html", shown)
