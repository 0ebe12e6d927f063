"""Words that server and phones share. Their spelling travels, so it is fixed."""

from enum import StrEnum


class TrainingMode(StrEnum):
    """Where a phone's apps bring their samples together."""

    BASELINE = "BASELINE"  # one app has all samples and trains alone
    JOINT_SAMPLES = "JOINT_SAMPLES"  # the apps hand their samples to one, which trains once
    JOINT_MODELS = "JOINT_MODELS"  # each app trains on its own; the phone sends the plain mean of their models


class DatasetType(StrEnum):
    """How samples are spread over devices and apps."""

    IID = "IID"
    NON_IID = "NonIID"


APPS = ("Red", "Green", "Blue")  # by app number: 0, 1, 2
