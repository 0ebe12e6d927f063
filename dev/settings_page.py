"""Writes docs/reference/settings.md from foedus.options.Settings: python dev/settings_page.py."""

from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

from foedus.options import Settings
from foedus.ports.secrets import Secret

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "settings.md"

HEAD = """<!-- written by dev/settings_page.py: change that, or foedus.options.Settings -->

# Settings

Every option of the service. Flags of a command win over variables of the environment, those over `foedus.toml` in the
data folder (its keys are the names of the first column, all but `data`), those over the defaults. An empty variable is
one that is not set. Lists are separated by commas; true and false are `true` or `1`, `false` or `0`.

| option | variable | default | meaning |
| --- | --- | --- | --- |
"""

TAIL = """
Two more are read by the commands that talk to a server, never by the server: `FOEDUS_URL`, its address, and
`FOEDUS_OPERATOR_TOKEN`, the token to show it ([commands](commands.md)). Some options of other systems are understood,
too: `DATABASE_URL`; of FLaaS `AWS_REGION`, `AWS_S3_BUCKET_NAME`, `AWS_S3_BUCKET_NAME_STATIC` and Pushwoosh's
`PUSHWOOSH_APPLICATION_CODE` and `PUSHWOOSH_API_TOKEN`; of FMA `FMA_DATABASE_HOST`, `FMA_DATABASE_PORT`,
`FMA_DATABASE_NAME`, `FMA_DB_SECRET_PATH`, `FMA_SETTINGS_MODULE`, `SECRET_KEY`, `TRUSTED_ORIGIN`,
`AGGREGATOR_LAMBDA_ARN`, `ENV`, `TAGS` and `IS_LAMBDA_DEPLOYMENT`. What begins with `FOEDUS_` wins over them.
"""

MEANINGS = {
    "data": "Folder of the database, keys, blobs and scratch files. Default: `foedus` in the user's application data",
    "database_url": "`sqlite:PATH` or `postgresql://USER:PASSWORD@HOST/NAME`. Empty: SQLite in the data folder",
    "blobs_url": "Where models and updates are kept: `file:`, `s3://BUCKET?endpoint=...` ([connectors](connectors.md))",
    "bus_url": "Who wakes whom: `local:`, `postgresql://...`, `nats://...`. Empty: as the database suggests",
    "push_url": "How phones are told: `outbox:` (a file), `webhook:https://...`, `pushwoosh:`",
    "secrets": "Where the server keeps its own keys: `file:`, `env:`, `aws:PREFIX`",
    "host": "Address to listen on",
    "port": "Port to listen on; 0 takes a free one",
    "allowed_hosts": "Names under which the server answers. Empty: its own on a loopback address, else any",
    "clock_seconds": "How often the clock ticks, up to a day (86,400); 0: never, only by hand",
    "faces": "Dialects that are switched on",
    "threads": "Requests that one web process works on at the same time",
    "web_processes": "`foedus serve`: how many web processes share the port; more than one on Linux only",
    "requests_per_second": "What anybody may ask of one web process; 0: any number",
    "max_model_bytes": "The largest model that a project may begin with",
    "max_frame_bytes": "SymetryML: the largest body, such as a frame of rows",
    "sources_folder": "SymetryML: the folder whose files customers may learn from (`localfile`, SQLite). Empty: none",
    "sources_writable": "SymetryML: whether predictions of data sources may become new files in that folder",
    "sources_allow": "SymetryML: private networks, addresses and names of hosts that data sources and streams may use",
    "sources_max_bytes": "SymetryML: the most bytes that are read of one data source, also once unpacked",
    "sources_max_seconds": "SymetryML: how long reading one data source may take",
    "oidc_issuer": "SymetryML: `https://` address of the OpenID Connect provider of its customers. Empty: none",
    "oidc_client_id": "What that provider calls this server",
    "oidc_client_secret": "The secret that it knows this server by; empty for a public client",
    "oidc_scopes": "What it is asked for",
    "oidc_claim": "The claim that names a customer made at its first sign-in, such as `preferred_username` or `email`",
    "oidc_create": "Whether the first sign-in makes a customer; otherwise an operator links accounts first",
    "oidc_organisation": "Whose such customers are; empty: the first organisation's",
    "oidc_callback": "Address of `/symetry/sso/callback` as browsers see it. Empty: as the request says",
    "oidc_after_sign_out": "Where browsers go once they have signed out",
    "cells_allow": "SymetryML: private networks, addresses and names of hosts that cells of fusion projects may have",
    "cells_max_bytes": "SymetryML: the most bytes that are taken of one cell",
    "cells_seconds": "SymetryML: how long the cells of a fusion project are waited for",
    "fusion_prefetch_ms": "SymetryML: within so many milliseconds a cell is asked once "
    "(`rtlm.option.sml.fusion.prefetch.min.time.ms`)",
    "fusion_max_age_seconds": "SymetryML: how old what stands in for a cell that does not answer may be",
    "flaas_report_days": "FLaaS: how long reports of phones are kept",
    "flaas_model_days": "FLaaS: how long models of devices are kept",
    "compute": "Market: where bought programs run: `process:` (this machine; when empty), `docker:`, `kubernetes:?...`",
    "ledger": "Market: where agreements and money are kept: `local:` (the database; when empty), `evm:http://...`",
    "market_lenient": "Market: documents whose proof is wrong are published, and what is wrong is recorded",
    "market_free_only": "Market: only assets without a price are published",
    "market_compute_open": "Market: the compute API answers whoever reaches it: strangers must not",
    "market_uploads": "Market: names under which `/upload` keeps files with this node; `none`: no uploads",
    "market_upload_bytes": "Market: the largest file that is uploaded",
    "market_uploads_total_bytes": "Market: what all uploads together may take",
    "market_run_input_bytes": "Market: the most that a run reads; half of the free disk where that is less",
    "sessions_host": "Market: where sessions that this node leads listen, such as `0.0.0.0`",
    "sessions_open": "Market: sessions that do not name their participants let in who shows no token",
    "sessions_allow": "Market: networks and hosts in which sessions of others may lie that programs take part in",
    "flaas_questionnaire_hours": "FLaaS: hours of the day at which phones are asked; empty: never",
    "flaas_questionnaire_title": "FLaaS: title of that push",
    "flaas_questionnaire_text": "FLaaS: text of that push",
    "flaas_questionnaire_icon": "FLaaS: address of its picture",
    "static_bucket": "S3 bucket of the admin pages' styles; empty: the server sends them",
    "static_region": "Region of that bucket",
    "log_format": "`text`, `json`, or `auto`: text on a terminal",
    "log_level": "`debug`, `info`, `warning` or `error`",
    "secret_key": "Signs sessions; the same for every process. Empty: made on first use",
    "first_token": "Token of the first operator, a superuser: `fop_` and 36 or more random characters. Empty: made",
    "metrics_token": "Opens `/metrics` and nothing else; 16 characters or more. Empty: only tokens of superusers do",
    "database_secret": "FMA: name of the secret with the user and password of the PostgreSQL database",
    "trusted_origins": "Further names of the server, trusted with forms over HTTPS",
    "page_origins": "FMA: origins of web pages that may call its API, such as `https://app.example.org`",
    "emulated": "FMA: the functions run outside their cloud",
    "schedule_url": "FMA: `none:`, or `eventbridge:?target=...`, the outside clock of aggregations",
    "fma_settings_module": "FMA: a Python module with its settings",
}


def page() -> str:
    """The page as it should be. Raises KeyError for a setting without a meaning."""
    rows = (
        f"| `{f.name}` | `FOEDUS_{f.name.upper()}` | {_default(f)} | {MEANINGS[f.name]} |\n" for f in fields(Settings)
    )
    return HEAD + "".join(rows) + TAIL


def _default(field: Field[Any]) -> str:
    value = field.default
    if value is MISSING or isinstance(value, Secret) or value in ("", ()):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{','.join(value) if isinstance(value, tuple) else value}`"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
