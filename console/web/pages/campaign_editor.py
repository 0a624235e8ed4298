"""The form of a campaign: drawn again at each press of a button, with its messages on real customers next to it.

Nothing is kept between two requests: the form carries the campaign, and the version that it is an edit of.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import RedirectResponse

from campaigns.definition import OfferPolicy
from campaigns.definition_versions import name_campaign
from console.access.roles import Permission
from console.errors import FOR_PEOPLE
from console.use_cases.campaign_overview import plan_launch
from console.use_cases.definition_drafts import compare_contents
from console.use_cases.definition_edits import (
    check_definition,
    find_definition,
    is_editable,
    save_campaign,
    show_content,
)
from console.use_cases.message_preview import preview_campaign
from console.use_cases.performance import find_campaign
from console.web.authentication import Editor
from console.web.campaign_form import (
    NEW,
    PLACE,
    CampaignForm,
    apply_button,
    build_campaign,
    draw_campaign,
    find_problems,
    is_entered,
    list_fields,
    read_fields,
)
from console.web.context import Context
from console.web.customer_views import note_view
from console.web.draft_backtests import begin_draft_backtest, read_period, show_period, today
from console.web.errors import InvalidRequestError
from console.web.inputs import FormFields
from console.web.job_desk import DraftOf, find_draft
from console.web.pages.campaigns import LAUNCH_WORDS
from console.web.rendering import render
from segments.errors import DefinitionError
from segments.rule_tree import read_json, write_json
from streams.definitions import read_definitions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from campaigns.definition import Campaign, DefinitionSet
    from console.access.roles import Principal
    from console.web.context import WebContext

router = APIRouter(prefix="/campaigns")
Key = Annotated[str, Path(max_length=64)]
DraftKey = Annotated[str, Query(max_length=64)]
UNNAMED = "new-campaign"
MOST_REASON, MOST_DIGITS = 1_000, 9
"""Characters of a reason, and of the number of a version."""
POLICY_WORDS = {
    OfferPolicy.NEXT_BEST: "the one of the highest expected value",
    OfferPolicy.FIXED: "the first one that the customer may get",
    OfferPolicy.EXPERIMENT: "each as likely as another, to compare them",
    OfferPolicy.RECOMMENDED: "the one about what is recommended to the customer",
}
EVENT_WORDS = {
    "conversation.message": "the customer writes a message",
    "customer.updated": "the row of the customer changes",
}


@dataclass
class Draft:
    """A campaign that is being edited.

    Attributes:
        key: in the address; empty for a new campaign.
        form: its fields.
        base: what the edit is of: the number of a version, or empty.
        why: the reason that is entered.
        period: of a backtest, as the form has it.
        problems: by the name of the field.
        problem: about all of it.
        json_text: what is entered as JSON and cannot be drawn.
        checked: the campaign, and the set that it was checked with; None unless it can be used.
    """

    key: str
    form: CampaignForm
    base: str = ""
    why: str = ""
    period: dict[str, str] = field(default_factory=lambda: show_period({}, today()))
    problems: dict[str, str] = field(default_factory=dict)
    problem: str = ""
    json_text: str | None = None
    checked: tuple[Campaign, DefinitionSet] | None = None

    @property
    def entered_key(self) -> str:
        """The key of the campaign, for a new one as it is entered."""
        return self.form.part.fields.get("key", "") or UNNAMED

    @property
    def base_version(self) -> int | None:
        """The number of the version that the edit is of; None of a new campaign, or of a file."""
        return int(self.base) if self.base.isdecimal() else None

    def build(self) -> dict[str, Any]:
        """Return the content of the definition, and note what is wrong with the form."""
        content, wrong = build_campaign(self.form)
        self.problems |= wrong
        return content

    def check(self, context: WebContext, content: dict[str, Any]) -> None:
        """Check a content as saving it would, and note what is wrong at the fields."""
        named = {"key": UNNAMED, **content}
        try:
            built = check_definition(context.settings, name_campaign(str(named["key"])), named)
            self.checked = find_campaign(built.campaigns, str(named["key"])), built
        except FOR_PEOPLE as error:
            self.blame(error)

    def blame(self, error: Exception) -> None:
        """Note the problems of a refused definition at the fields that they are about, and any other above the form."""
        if not isinstance(error, DefinitionError):
            self.problem = str(error)
            return
        shown = set(list_fields(self.form))
        for name, problem in find_problems(str(error), self.entered_key, self.form).items():
            if name in shown:
                self.problems[name] = problem
            else:
                self.problem = problem


@router.get("/_new")
def begin(request: Request, context: Context, _: Editor, draft: DraftOf = None, key: DraftKey = "") -> Response:
    """Show an empty form, or the draft of a new campaign that a job decides with."""
    if draft is None:
        return _show(request, context, Draft("", NEW))
    tried = find_draft(context, draft, name_campaign(key))
    return _show(request, context, Draft("", draw_campaign(tried.read())))


@router.post("/_new")
def edit_new(request: Request, context: Context, principal: Editor, fields: FormFields) -> Response:
    """Draw the form of a new campaign again after a button was pressed, or save it."""
    return _edit(request, context, principal, fields, "")


@router.post("/_preview")
def preview(request: Request, context: Context, principal: Editor, fields: FormFields) -> Response:
    """Return the messages of the campaign in the form for some customers, and what is wrong with it."""
    draft = _read_draft(fields, "")
    content = draft.build()
    found = None
    if not draft.problems:
        draft.check(context, content)
    if draft.checked is not None and principal.may(Permission.VIEW_CUSTOMERS):
        campaign, built = draft.checked
        hidden = () if principal.may(Permission.SEE_PERSONAL) else context.settings.personal_columns
        try:
            found = preview_campaign(context.settings, built, campaign, hidden=hidden)
        except FOR_PEOPLE as error:
            draft.problem = str(error)
    for each in found.customers if found else ():
        note_view(context, principal, each.customer_id, "message preview")
    # What is not filled in yet is no mistake while somebody is writing.
    missing = [name for name in draft.problems if not is_entered(draft.form, name)]
    shown = {
        "found": found,
        "campaign": draft.checked[0] if draft.checked else None,
        "problem": draft.problem,
        "problems": {name: said for name, said in draft.problems.items() if name not in missing},
        "missing": [name.partition(":")[0].replace("_", " ") for name in missing],
        "names": list_fields(draft.form),
    }
    return render(request, "campaign_preview.html", shown)


@router.get("/{key}/edit")
def edit(request: Request, key: Key, context: Context, _: Editor, draft: DraftOf = None) -> Response:
    """Show the form of a campaign, or the draft of it that a job decides with."""
    name = name_campaign(key)
    if draft is not None:
        tried = find_draft(context, draft, name)
        return _show(request, context, Draft(key, draw_campaign(tried.read()), str(tried.base_version or "")))
    found = find_definition(context.settings, name)
    return _show(request, context, Draft(key, draw_campaign(found.content), str(found.number or "")))


@router.post("/{key}/edit")
def edit_again(request: Request, key: Key, context: Context, principal: Editor, fields: FormFields) -> Response:
    """Draw the form again after a button was pressed, or save the campaign."""
    return _edit(request, context, principal, fields, key)


def _edit(request: Request, context: WebContext, principal: Principal, fields: Mapping[str, str], key: str) -> Response:
    draft, button = _read_draft(fields, key), fields.get("do", "")
    if button == "json":
        _draw_json(draft, fields.get("json", ""))
    else:
        draft.form = apply_button(draft.form, button)
    if button not in {"check", "save", "backtest"}:
        return _show(request, context, draft)
    content = draft.build()
    if not draft.problems:
        draft.check(context, content)
    if button == "check" or draft.checked is None:
        draft.problem = draft.problem or ("It cannot be used yet: see the fields." if draft.problems else "")
        return _show(request, context, draft, content if draft.checked else None)
    if button == "save" and not draft.why.strip():
        draft.problem = "Say why the campaign changes: the reason is kept with the version."
        return _show(request, context, draft, content)
    try:
        if button == "backtest":
            name, period = name_campaign(content["key"]), read_period(fields, today())
            job = begin_draft_backtest(
                context, principal, name, content, base_version=draft.base_version, period=period
            )
            return RedirectResponse(f"/jobs/{job.job_id}", 303)
        _save(context, principal, draft, content)
    except (InvalidRequestError, *FOR_PEOPLE) as error:
        draft.blame(error)
        return _show(request, context, draft)
    return RedirectResponse(f"/campaigns/{content['key']}", 303)


def _save(context: WebContext, principal: Principal, draft: Draft, content: Mapping[str, Any]) -> None:
    why = draft.why.strip()
    saved = save_campaign(context.settings, content, base_version=draft.base_version, by=principal.name, why=why)
    detail = {"why": why, "version": saved.number}
    context.accounts.record(principal.name, "save campaign", saved.name.key, detail=detail)


def _read_draft(fields: Mapping[str, str], key: str) -> Draft:
    form = read_fields(fields)
    if key:
        form = form.put(PLACE, replace(form.part, fields={**form.part.fields, "key": key}))
    # The ledger keeps no NUL.
    why = fields.get("why", "").replace("\0", "")[:MOST_REASON]
    return Draft(key, form, fields.get("base", "")[:MOST_DIGITS], why, show_period(fields, today()))


def _draw_json(draft: Draft, text: str) -> None:
    try:
        content = read_json(text)
    except ValueError as error:
        draft.problems["json"], draft.json_text = str(error), text
        return
    if isinstance(content, dict):
        draft.form = draw_campaign({**content, "key": draft.key} if draft.key else content)
    else:
        draft.problems["json"], draft.json_text = "a campaign is a JSON object: { … }", text


def _compare(context: WebContext, draft: Draft, content: Mapping[str, Any]) -> Sequence[str]:
    """Return the lines that an edit changes, as `diff` writes them; none of a new campaign."""
    if not draft.key:
        return ()
    return compare_contents(find_definition(context.settings, name_campaign(draft.key)).content, content)


def _show(request: Request, context: WebContext, draft: Draft, content: Mapping[str, Any] | None = None) -> Response:
    drawn, wrong = build_campaign(draft.form)
    defined = read_definitions(context.settings)
    checked = draft.checked[0] if draft.checked and content is not None else None
    shown = {
        "key": draft.key,
        "address": f"/campaigns/{draft.key}/edit" if draft.key else "/campaigns/_new",
        "form": draft.form,
        "base": draft.base,
        "why": draft.why,
        "period": draft.period,
        "problem": draft.problem,
        "problems": draft.problems,
        "campaign_json": ("" if wrong else show_json(drawn)) if draft.json_text is None else draft.json_text,
        "segments": {each.key: each.name for each in defined.segments},
        "channels": {each.key: each.key for each in defined.channels.values()},
        "offers": {str(id_): each.name for id_, each in defined.offers.items()},
        "facts": sorted(each.name for each in context.facts.read().facts),
        "launches": LAUNCH_WORDS,
        "policies": POLICY_WORDS,
        "events": EVENT_WORDS,
        "editable": is_editable(context.settings),
        "checked": checked,
        "plan": plan_launch(context.settings, checked) if checked else None,
        "changes": _compare(context, draft, content) if content is not None else (),
        "file_json": show_content(content) if content is not None else "",
        "file": f"campaigns/{draft.entered_key}.json",
    }
    return render(request, "campaign_editor.html", shown)


def show_json(content: Mapping[str, Any]) -> str:
    """Return a definition as JSON to edit, or nothing for an empty one."""
    return write_json(content, indent=2) if content else ""
