"""The jobs of a cluster as people see them."""

from alfred.report.jobs import print_jobs
from alfred.storage.scheduler import Job


def test_jobs_that_wait_for_the_same_reason_share_a_line_and_others_have_their_own(capsys):
    jobs = [Job(f"7_{n}", str(n), "alfred-1", "PENDING", "", "Resources", 60.0) for n in (3, 4, 5, 9)]
    jobs.append(Job("7_6", "6", "alfred-1", "PENDING", "", "BeginTime", 60.0))
    jobs += [Job(f"7_{n}", str(n), "alfred-1", "RUNNING", "n1", "None", 30.0) for n in (1, 2)]
    jobs.append(Job("8_1", "10", "alfred-2", "PENDING", "", "Resources", 60.0))
    print_jobs(jobs, {"1": 4})
    shown = [line.split("  ")[0] for line in capsys.readouterr().out.splitlines()]
    assert shown == ["Jobs", "job", "7_[3-5, 9]", "7_6", "7_1", "7_2", "8_1"]
