"""What workers are promised by the market; known also where its extra is not installed."""

RUN_JOB = "market.run"
LEAD_JOB = "market.lead"
SETTLE_JOB = "market.settle"
