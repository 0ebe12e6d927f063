"""One thing, many names: what the documents in circulation call conditions and their parameters."""

from collections.abc import Mapping

LOCK, COMPUTE, ESCROW, ACCESS = "lockPayment", "execCompute", "escrowPayment", "access"

CONDITIONS: Mapping[str, str] = {
    LOCK: LOCK,
    "lockReward": LOCK,
    COMPUTE: COMPUTE,
    "serviceExecution": COMPUTE,
    "computeExecution": COMPUTE,
    ESCROW: ESCROW,
    "escrowReward": ESCROW,
    "releaseReward": ESCROW,
    ACCESS: ACCESS,
    "accessSecretStore": ACCESS,
}

PARAMETERS: Mapping[str, str] = {
    "_documentId": "_did",
    "_amount": "_amounts",
    "_receiver": "_receivers",
    "_serviceEndpoint": "serviceEndpoint",
    "_releaseConditions": "_releaseCondition",
}

CONTRACTS: Mapping[str, str] = {
    "ServiceExecutionTemplate": "EscrowComputeExecutionTemplate",
    "EscrowPayment": "EscrowPaymentCondition",
    "EscrowReward": "EscrowPaymentCondition",
    "LockRewardCondition": "LockPaymentCondition",
}

SESSION_PARAMETERS: Mapping[str, str] = {"participantsRation": "participantsRatio"}
