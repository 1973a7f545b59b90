from pathlib import Path

import pytest

from dcgan.run.lock import lock_holder
from dcgan.training.worker import start_worker
from dcgan.training.worker_status import WorkerStatus, read_worker_status
from tests.studio.conftest import wait_for


@pytest.mark.usefixtures("endless_import")
def test_a_worker_holds_its_lock_and_ends_at_once_while_it_loads(tmp_path: Path):
    arguments = {"preset": "dcgan", "minutes": 50, "out": str(tmp_path / "run")}
    process = start_worker("train", arguments, tmp_path / "status.json", holds_lock=True)
    assert read_worker_status(tmp_path / "status.json") == WorkerStatus("loading")
    holder = wait_for(lambda: (held := lock_holder(tmp_path)) and held.process_id and held)
    assert holder.process_id == process.pid
    process.terminate()
    assert process.wait(timeout=120) == 143
    assert read_worker_status(tmp_path / "status.json") == WorkerStatus("ended", "stopped")
    assert lock_holder(tmp_path) is None
    assert not (tmp_path / "run").exists()


def test_a_worker_reports_why_it_failed(tmp_path: Path):
    process = start_worker("train", {"data": "nothing", "steps": 1}, tmp_path / "status.json")
    assert process.wait(timeout=120) == 2
    status = read_worker_status(tmp_path / "status.json")
    assert status.phase == "failed"
    assert "there is no data 'nothing'" in status.detail
