"""What a worker does for each kind of a customer's jobs."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from foedus.core.exploration import Query
from foedus.ports import Ports
from foedus.records.shell.models import Job
from foedus.services.statistics import exploring, jobs, learning
from foedus.services.statistics.building import build
from foedus.services.statistics.jobs import Runner, Running
from foedus.services.statistics.modelling import optimal_clusters
from foedus.services.statistics.scoring import predict_source
from foedus.services.statistics.selecting import reduce, select_automatically, select_model
from foedus.services.statistics.taking import forget_source, learn_encoder_source, learn_source


def _learn(job: Running) -> None:
    """The batch, the end of the job and its result are one transaction."""
    learning.learn(
        job.ports, job.actor, job.project, job.body(), client=job.row.payload.get("client", ""), now=job.now,
        also=job.done,
    )  # fmt: skip


def _forget(job: Running) -> None:
    learning.forget(
        job.ports, job.actor, job.project, job.body(), client=job.row.payload.get("client", ""), now=job.now,
        also=job.done,
    )  # fmt: skip


def _nothing(job: Running) -> None:
    """What the job is about is read when its result is."""
    _finish(job)


def _explore(job: Running) -> None:
    queries = [_query(each) for each in job.row.payload["queries"]]
    _finish(job, answers=exploring.explored(job.ports, job.project, job.row.payload["metric"], queries))


def _vif(job: Running) -> None:
    queries = [_query(each) for each in job.row.payload["queries"]]
    _finish(job, answers=exploring.inflated(job.ports, job.project, queries))


def _pca(job: Running) -> None:
    explained = float(job.row.payload["explained"])
    _finish(job, **exploring.components(job.ports, job.project, _query(job.row.payload["queries"][0]), explained))


def _svd(job: Running) -> None:
    query = _query(job.row.payload["queries"][0])
    _finish(job, answers=exploring.singular(job.ports, job.project, query, drop=job.row.kind == "svdfs"))


def _kmeans(job: Running) -> None:
    asked = job.row.payload
    found = optimal_clusters(job.ports, job.project, asked["least"], asked["most"], asked["options"])
    _finish(job, answers=[found])


def _inventory(job: Running) -> None:
    """What the customer's account holds at its cloud, asked with the credentials that came with the request."""
    _finish(job, **job.ports.exchanges.inventory("aws", job.body()))


def _finish(job: Running, **result: Any) -> None:
    with transaction.atomic():
        job.done(**result)


def _query(fields: Mapping[str, Any]) -> Query:
    return Query(tuple(fields["inputs"]), tuple(fields["targets"]), fields["options"])


RUNNERS: Mapping[str, Runner] = {
    "learn": _learn, "forget": _forget, "projects": _nothing, "explore": _explore, "vif": _vif, "pca": _pca,
    "svd": _svd, "svdfs": _svd, "kmeans_optimize": _kmeans, "build": build, "reduce": reduce,
    "select_model": select_model, "auto_select": select_automatically,
    "encoder_source": learn_encoder_source, "learn_source": learn_source, "forget_source": forget_source,
    "predict_source": predict_source,
    "aws_info": _inventory,
}  # fmt: skip


def run_statistics_job(ports: Ports, job: Job, *, now: datetime) -> None:
    """The worker's way in."""
    jobs.run(ports, job, RUNNERS, now=now)
