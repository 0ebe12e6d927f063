"""What workers are promised by federations; known also before anything of them is imported."""

PULSE_JOB = "federation-pulse"  # subject: a membership
CHANGED_JOB = "federation-changed"  # subject: a project
