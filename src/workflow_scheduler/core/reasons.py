"""The closed lists of outcomes and reason codes: every decision carries one of each."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """What became of one event for one trigger."""

    RUN_STARTED = "run_started"
    RUN_RESUMED = "run_resumed"
    FILTERED = "filtered"
    HELD = "held"
    DUPLICATE = "duplicate"
    ABSORBED = "absorbed"
    DEFERRED = "deferred"
    SKIPPED = "skipped"
    SUSPENDED = "suspended"
    LOOP_BLOCKED = "loop_blocked"
    DEAD_LETTERED = "dead_lettered"


class Reason(StrEnum):
    """Why. The comment on each line is its documentation (docs/reference/reasons.md is made from it)."""

    MATCHED = "matched"  # every predicate is true
    PREDICATE_FALSE = "predicate_false"  # a filter of the trigger is false for this event
    CONDITION_FALSE = "condition_false"  # the CEL condition is false for this event
    PATTERN_FALSE = "pattern_false"  # the event pattern does not match this event
    CONDITION_ERROR = "condition_error"  # the CEL condition failed; treated as unknown
    UNKNOWN_SKIPPED = "unknown_skipped"  # a predicate could not be decided and on_unknown is skip
    UNKNOWN_HELD = "unknown_held"  # a predicate could not be decided and on_unknown is hold
    UNKNOWN_FIRED = "unknown_fired"  # a predicate could not be decided and on_unknown is fire
    ALREADY_SEEN = "already_seen"  # the same event_key was accepted before
    WAITING_FOR_MEMBERS = "waiting_for_members"  # members are still missing; the last predicate names them
    MEMBERS_MISSED = "members_missed"  # the window of a dependency is over, and `on_miss: run` starts it without them
    WINDOW_OVER = "window_over"  # the end of a member lies outside the window in which the others are waited for
    DEBOUNCED = "debounced"  # the run starts for all events of the burst, when it has been quiet for `debounce`
    BATCHED = "batched"  # the run starts for several events together, as `batch` says
    BELOW_THRESHOLD = "below_threshold"  # fewer events than `threshold` wants have come within its window
    HEARD = "heard"  # an event came; a run starts when none comes for `absence`
    THROTTLED = "throttled"  # the run starts later, as the rate of `throttle` allows
    RATE_EXCEEDED = "rate_exceeded"  # as many runs as `rate_limit` allows have started within its time
    REPEATED = "repeated"  # an event with the same value of `unique` came within its window
    TRIGGER_DISABLED = "trigger_disabled"  # the trigger is disabled
    TRIGGER_SUSPENDED = "trigger_suspended"  # the trigger is suspended: kept, not run
    RELEASED = "released"  # the event was kept, and somebody let it be decided again
    DISCARDED = "discarded"  # the event was kept, and somebody gave it up
    WORKFLOW_PAUSED = "workflow_paused"  # the workflow is paused
    NOT_CONFIRMED = "not_confirmed"  # the manual trigger wants a confirmation
    MISSED_DOWN = "missed_down"  # due while no instance was running, and the catch-up policy leaves it out
    MISSED_PAUSED = "missed_paused"  # due while paused
    MISSED_WINDOW = "missed_window"  # older than catchup_window or beyond catchup_max
    UNDEPLOYED = "undeployed"  # due while its workflow was not deployed
    BLACKOUT = "blackout"  # due within a blackout window of the tenant
    RATE_LIMITED = "rate_limited"  # missed before; its run starts later, as catchup_rate allows
    MAX_FIRES = "max_fires"  # the schedule has started all the runs that max_fires allows
    COALESCED = "coalesced"  # several late fires became one run
    SUPERSEDED = "superseded"  # the schedule was edited before the fire
    SKIPPED_BY_HAND = "skipped_by_hand"  # somebody skipped this one time of the schedule
    CALENDAR = "calendar"  # a calendar of the schedule leaves this time out; the note names calendar and day
    EXPIRED = "expired"  # a one-time schedule that has fired already, or an event older than the `ttl` of the trigger
    DEPTH_EXCEEDED = "depth_exceeded"  # the chain of runs that caused runs is deeper than max_depth
    OWN_FAILURE = "own_failure"  # a handler of workflow_failed never fires for its own failure
    ENGINE_UNAVAILABLE = "engine_unavailable"  # the engine did not answer; tried again later
    ENGINE_REFUSED = "engine_refused"  # the engine refused the run for good
    POISON = "poison"  # the run was delivered too often without reaching an end
    MALFORMED = "malformed"  # a stored row could not be read; it is quarantined
    OVERLAP_SKIPPED = "overlap_skipped"  # an earlier run was still under way, and overlap is skip
    OVERLAP_QUEUED = "overlap_queued"  # an earlier run was still under way: the run waits for its end
    OVERLAP_QUEUE_FULL = "overlap_queue_full"  # as many runs wait already as the limit of queue_all allows
    OVERLAP_SUPERSEDED = "overlap_superseded"  # a later fire took the place in the queue
    OVERLAP_FLUSHED = "overlap_flushed"  # somebody flushed the queue in which the run waited
    OVERLAP_TERMINATED = "overlap_terminated"  # a later fire ended the run, because overlap is terminate_running
    QUEUED_CONCURRENCY = "queued_concurrency"  # the workflow already has max_runs running
    CONCURRENCY_SKIPPED = "concurrency_skipped"  # the workflow already has max_runs running, and on_limit is skip
    BACKFILLED = "backfilled"  # a backfill ran this time of a schedule
    STARTED_WHILE_PAUSED = "started_while_paused"  # a person started it although schedule or workflow are paused
    WAIT_ANSWERED = "wait_answered"  # the event answered a paused run; the line `wait` says on which evidence
    AMBIGUOUS_WAIT = "ambiguous_wait"  # the event may answer several paused runs, and nothing decides between them
    LATE_RESPONSE = "late_response"  # the event answers a wait that was closed before it came
    RERUN = "rerun"  # an ended run was started again by a person, whole or from its failed jobs
    REPLAYED = "replayed"  # started again by a person with replay
