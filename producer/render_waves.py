"""Answers about waves, the same at every door. Pure."""

from collections.abc import Sequence
from typing import Any

from producer.render import render_time
from workers.core.store.wave_records import Wave, WavePart, WaveView, find_errors


def render_wave(view: WaveView) -> dict[str, Any]:
    """Render a wave with its groups and recovery jobs."""
    return {
        **_wave(view.wave),
        "groups": [
            {"groupId": group.group_id, "path": group.path, "state": group.state.value, "generation": group.generation}
            for group in view.groups
        ],
        "jobs": [_job(part) for part in view.parts if part.job_id is not None],
        "errors": [
            {
                "groupId": error.group_id,
                "sourceServerIds": list(error.source_server_ids),
                "code": error.code,
                "message": error.message,
                "requestId": error.request_id,
            }
            for error in find_errors(view)
        ],
    }


def render_waves(waves: Sequence[Wave], next_token: str | None) -> dict[str, Any]:
    """Render a page of the waves."""
    page: dict[str, Any] = {"waves": [_wave(wave) for wave in waves]}
    if next_token is not None:
        page["nextToken"] = next_token
    return page


def _wave(wave: Wave) -> dict[str, Any]:
    return {
        "waveId": wave.wave_id,
        "status": wave.status.value,
        "isDrill": wave.is_drill,
        "onNotReady": wave.on_not_ready.value,
        "verify": wave.verify.value,
        "acceptedAt": render_time(wave.accepted_at),
        "startedAt": render_time(wave.started_at),
        "deadline": None if wave.status.is_over else render_time(wave.deadline),
        "waitingFor": wave.waiting_for if wave.stop_code is None else f"its end: {wave.stop_message}",
        "requestedBy": wave.requested_by,
    }


def _job(part: WavePart) -> dict[str, Any]:
    return {
        "jobId": part.job_id,
        "groupId": part.group_id,
        "sourceServerIds": list(part.source_server_ids),
        "launchStatuses": part.launch_statuses or {},
        "isOver": part.job_over,
    }
