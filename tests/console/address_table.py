"""What each address of the console needs: an address that is not here, or needs something else, fails a test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.access.roles import Permission

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAMES: Mapping[Permission, str] = {
    Permission.READ: """
GET /
GET /analytics
GET /api/loyalty/v1/dwh/columns/
GET /api/v1/analytics/voc
GET /api/v1/campaigns
POST /api/v1/campaigns/check
GET /api/v1/campaigns/{key}
GET /api/v1/campaigns/{key}/history
GET /api/v1/campaigns/{key}/performance
GET /api/v1/launches/{launch_id}
GET /api/v1/models
GET /api/v1/models/{model}
GET /api/v1/models/{model}/comparison
GET /api/v1/models/{model}/experiment
GET /api/v1/models/{model}/versions/{version}
GET /api/v1/partitions
GET /api/v1/segment-facts
GET /api/v1/segments
POST /api/v1/segments/check
POST /api/v1/segments/diff
POST /api/v1/segments/preview
GET /api/v1/segments/{key}
GET /api/v1/segments/{key}/history
GET /api/v1/segments/{key}/sizes
GET /api/v1/status
GET /campaigns
GET /campaigns/{key}
GET /campaigns/{key}/performance
GET /models
GET /models/{model}
GET /models/{model}/versions/{version}
GET /models/{model}/versions/{version}/report
GET /parts/overview
GET /segments
GET /segments/{key}
POST /sign-out
""",
    Permission.VIEW_CUSTOMERS: """
GET /analytics/cohort
POST /api/loyalty/v1/dwh/ml/churn/
POST /api/loyalty/v1/dwh/ml/nbo/
POST /api/loyalty/v1/dwh/ml/rfm/
GET /api/v1/alerts/stream
GET /api/v1/customers
GET /api/v1/customers/{customer_id:path}/explanation
GET /api/v1/customers/{customer_id:path}/facts
GET /api/v1/customers/{customer_id:path}/feedback
GET /api/v1/customers/{customer_id:path}/timeline
POST /api/v1/customers/{customer_id:path}/what-if
GET /api/v1/decisions/stream
GET /api/v1/jobs
GET /api/v1/jobs/{job_id}
POST /api/v1/leads/score
GET /api/v1/predictions/{kind}
POST /api/v1/predictions/{kind}
GET /api/v1/predictions/{kind}/customers/{customer_id:path}
GET /api/v1/recommendations/{customer_id:path}
GET /api/v1/segments/{key}/members
GET /campaigns/{key}/decided
GET /campaigns/{key}/messages
GET /care/what-if
GET /customers
GET /customers/{customer_id:path}
GET /jobs/{job_id}
GET /jobs/{job_id}/parts/state
GET /live
GET /parts/live
GET /segments/{key}/members
""",
    Permission.ACT_FOR_CUSTOMERS: """
POST /api/v1/customers/{customer_id:path}/feedback
DELETE /api/v1/customers/{customer_id:path}/feedback/{feedback_id}
POST /api/v1/customers/{customer_id:path}/forget
POST /care/feedback
POST /care/forget
POST /care/withdraw
""",
    Permission.EDIT_DEFINITIONS: """
POST /api/v1/campaigns
DELETE /api/v1/campaigns/{key}
PUT /api/v1/campaigns/{key}
POST /api/v1/campaigns/{key}/launch
POST /api/v1/segments
DELETE /api/v1/segments/{key}
PUT /api/v1/segments/{key}
POST /api/v1/segments/{key}/activate
GET /campaigns/_new
POST /campaigns/_new
POST /campaigns/_preview
GET /campaigns/{key}/edit
POST /campaigns/{key}/edit
POST /campaigns/{key}/launch
POST /segments/_count
GET /segments/_new
POST /segments/_new
POST /segments/{key}/activation
GET /segments/{key}/edit
POST /segments/{key}/edit
""",
    Permission.STOP_CAMPAIGNS: """
POST /api/v1/campaigns/{key}/resume
POST /api/v1/campaigns/{key}/stop
POST /api/v1/jobs/{job_id}/stop
POST /campaigns/{key}/resume
POST /campaigns/{key}/stop
POST /jobs/{job_id}/stop
POST /operations/campaigns/resume
POST /operations/campaigns/stop
""",
    Permission.BACKTEST: """
POST /api/v1/backtests
POST /jobs/{job_id}/resume
""",
    Permission.OPERATE: """
GET /api/v1/audit
GET /api/v1/dead-letters
POST /api/v1/dead-letters/discard
POST /api/v1/dead-letters/requeue
GET /api/v1/dead-letters/{letter_id:path}
POST /api/v1/models/{model}/experiment
POST /api/v1/models/{model}/experiment/stop
POST /api/v1/models/{model}/preview
POST /api/v1/models/{model}/promotion
POST /api/v1/models/{model}/rollback
GET /api/v1/replays
POST /api/v1/replays
DELETE /api/v1/replays/{replay_id}
GET /api/v1/replays/{replay_id}
POST /api/v1/segments/{key}/re-evaluations
POST /models/{model}/experiment/stop
POST /models/{model}/rollback
POST /models/{model}/versions/{version}/experiment
GET /models/{model}/versions/{version}/promotion
POST /models/{model}/versions/{version}/promotion
GET /operations
GET /operations/audit
GET /operations/dead-letters
POST /operations/dead-letters/discard
POST /operations/dead-letters/requeue
GET /operations/dead-letters/{letter_id:path}
GET /operations/jobs
POST /operations/jobs/period
POST /operations/jobs/re-evaluation
GET /operations/parts/jobs
GET /operations/parts/state
GET /operations/replays
GET /operations/replays/{replay_id}
""",
    Permission.ADMINISTER: """
GET /access
POST /access/accounts
POST /access/accounts/disable
POST /access/accounts/role
POST /access/keys
POST /access/keys/revoke
""",
}
NEEDS: Mapping[str, Permission] = {
    name: needs for needs, names in _NAMES.items() for name in names.strip().splitlines()
}
"""The permission by method and path."""
