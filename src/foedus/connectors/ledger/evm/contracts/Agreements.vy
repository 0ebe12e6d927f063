# pragma version ~=0.4.3
# pragma evm-version shanghai
# SPDX-License-Identifier: Apache-2.0
"""
@title  Agreements on computation, and the escrow of their prices
@notice Three conditions an agreement: the price is locked, the computation is granted, the escrow is emptied. Each
        goes from unfulfilled to fulfilled or aborted, and never again. The escrow pays the receivers once the
        computation was granted, and pays back once it was aborted. Windows count blocks from the creation.
"""

from ethereum.ercs import IERC20

MAX_SHARES: constant(uint256) = 32
MAX_PROVIDERS: constant(uint256) = 32
MAX_BLOCKS: constant(uint256) = 2**40
# A receiver that is a contract may do little more than take the coin in; it must not hold up the others.
RECEIVER_GAS: constant(uint256) = 50_000

UNFULFILLED: constant(uint256) = 1
FULFILLED: constant(uint256) = 2
ABORTED: constant(uint256) = 3

LOCK: constant(uint256) = 0
COMPUTE: constant(uint256) = 1
ESCROW: constant(uint256) = 2

PAID_IN: constant(uint256) = 1
RELEASED: constant(uint256) = 2
REFUNDED: constant(uint256) = 3

struct Terms:
    did: bytes32
    consumer: address
    amounts: DynArray[uint256, MAX_SHARES]
    receivers: DynArray[address, MAX_SHARES]
    token: address
    return_address: address

struct Condition:
    id: bytes32
    state: uint256
    timelock: uint256
    timeout: uint256
    changed_at: uint256

struct Agreement:
    seed: bytes32
    creator: address
    terms: Terms
    created: uint256
    created_at: uint256
    conditions: Condition[3]

event Registered:
    did: indexed(bytes32)
    owner: indexed(address)

event AgreementCreated:
    agreement: indexed(bytes32)
    did: indexed(bytes32)
    consumer: indexed(address)

event ConditionUpdated:
    agreement: indexed(bytes32)
    condition: bytes32
    state: uint256

event Moved:
    agreement: indexed(bytes32)
    source: indexed(address)
    target: indexed(address)
    token: address
    amount: uint256
    kind: uint256

operator: public(immutable(address))
owners: public(HashMap[bytes32, address])
providers: HashMap[bytes32, DynArray[address, MAX_PROVIDERS]]
agreements: HashMap[bytes32, Agreement]
# What a receiver would not take when it was paid, by token; it is fetched by `withdraw`.
owed: public(HashMap[address, HashMap[address, uint256]])


@deploy
def __init__():
    operator = msg.sender


@external
def register(did: bytes32, owner: address, providers: DynArray[address, MAX_PROVIDERS]):
    """
    @notice Make an asset known. Its owner does, or the market's operator for it; the owner never changes.
    """
    assert msg.sender == owner or msg.sender == operator, "Not the owner or the operator"
    assert owner != empty(address), "No owner"
    assert self.owners[did] in [empty(address), owner], "DID taken"
    self.owners[did] = owner
    self.providers[did] = providers
    log Registered(did=did, owner=owner)


@external
def create(seed: bytes32, terms: Terms, timelocks: uint256[3], timeouts: uint256[3]) -> bytes32:
    """
    @notice Make an agreement, all three conditions unfulfilled. Windows are those of lock, compute and escrow.
    """
    agreement: bytes32 = keccak256(abi_encode(seed, msg.sender))
    assert self.agreements[agreement].created == 0, "Id already exists"
    assert self.owners[terms.did] != empty(address), "DID not registered"
    self._check(terms, timelocks, timeouts)
    lock: bytes32 = self._condition_id(
        agreement, self, self._lock_hash(terms.did, self, terms.token, terms.amounts, terms.receivers)
    )
    compute: bytes32 = self._condition_id(agreement, self, self._compute_hash(terms.did, terms.consumer))
    escrow: bytes32 = self._condition_id(agreement, self, self._escrow_hash(
        terms.did, terms.amounts, terms.receivers, terms.return_address, self, terms.token, lock, [compute]
    ))
    ids: bytes32[3] = [lock, compute, escrow]
    self.agreements[agreement].seed = seed
    self.agreements[agreement].creator = msg.sender
    self.agreements[agreement].terms = terms
    self.agreements[agreement].created = block.number
    self.agreements[agreement].created_at = block.timestamp
    for i: uint256 in range(3):
        self.agreements[agreement].conditions[i] = Condition(
            id=ids[i], state=UNFULFILLED, timelock=timelocks[i], timeout=timeouts[i], changed_at=block.timestamp
        )
    log AgreementCreated(agreement=agreement, did=terms.did, consumer=terms.consumer)
    return agreement


@external
@payable
@nonreentrant
def lock(agreement: bytes32):
    """
    @notice Pay the price into escrow; anybody may. What is late is refused before money moves.
    """
    self._check_open(agreement, LOCK)
    assert not self._is_timed_out(agreement, LOCK), "Paid too late"
    self._change(agreement, LOCK, FULFILLED)
    token: address = self.agreements[agreement].terms.token
    total: uint256 = self._total(agreement)
    if token == empty(address):
        assert msg.value == total, "Wrong value"
    else:
        assert msg.value == 0, "Wrong value"
        before: uint256 = staticcall IERC20(token).balanceOf(self)
        assert extcall IERC20(token).transferFrom(msg.sender, self, total, default_return_value=True), "Not paid"
        # A token that keeps a part of what is transferred would leave too little for the receivers.
        assert staticcall IERC20(token).balanceOf(self) - before == total, "Not paid in full"
    if total > 0:
        log Moved(agreement=agreement, source=msg.sender, target=self, token=token, amount=total, kind=PAID_IN)


@external
def grant(agreement: bytes32):
    """
    @notice Fulfil the compute condition. Late, it ends aborted instead.
    """
    assert self.agreements[agreement].created != 0, "Agreement missing"
    assert self._is_provider(agreement, msg.sender), "Invalid DID owner/provider"
    self._check_open(agreement, COMPUTE)
    self._change(agreement, COMPUTE, ABORTED if self._is_timed_out(agreement, COMPUTE) else FULFILLED)


@external
def abort(agreement: bytes32):
    """
    @notice Abort the compute condition: anybody after its timeout, owner and providers at any time.
    """
    assert self.agreements[agreement].created != 0, "Agreement missing"
    assert self.agreements[agreement].conditions[COMPUTE].state == UNFULFILLED, "Invalid state transition"
    if not self._is_provider(agreement, msg.sender):
        assert self._is_timed_out(agreement, COMPUTE), "Condition needs to be timed out"
    self._change(agreement, COMPUTE, ABORTED)


@external
@nonreentrant
def settle(agreement: bytes32):
    """
    @notice Empty the escrow, which anybody may: to the receivers, or back to the return address.
    """
    assert self.agreements[agreement].created != 0, "Agreement missing"
    assert self.agreements[agreement].conditions[ESCROW].state == UNFULFILLED, "Invalid state transition"
    assert self.agreements[agreement].conditions[LOCK].state == FULFILLED, "LockCondition needs to be Fulfilled"
    compute: uint256 = self.agreements[agreement].conditions[COMPUTE].state
    assert compute != UNFULFILLED, "Release conditions unresolved"
    self._check_open(agreement, ESCROW)
    self._change(agreement, ESCROW, FULFILLED)
    if compute == ABORTED:
        self._pay(agreement, self.agreements[agreement].terms.return_address, self._total(agreement), REFUNDED)
        return
    terms: Terms = self.agreements[agreement].terms
    for i: uint256 in range(len(terms.receivers), bound=MAX_SHARES):
        self._pay(agreement, terms.receivers[i], terms.amounts[i], RELEASED)


@external
@nonreentrant
def withdraw(token: address):
    """
    @notice Fetch what could not be paid when it was due.
    """
    amount: uint256 = self.owed[token][msg.sender]
    self.owed[token][msg.sender] = 0
    assert self._transfer(token, msg.sender, amount, msg.gas), "Not taken"


@external
@view
def get(agreement: bytes32) -> (Agreement, address, DynArray[address, MAX_PROVIDERS]):
    """
    @notice An agreement with its asset's owner and providers; all zero where there is none.
    """
    did: bytes32 = self.agreements[agreement].terms.did
    return self.agreements[agreement], self.owners[did], self.providers[did]


@external
@view
def providers_of(did: bytes32) -> DynArray[address, MAX_PROVIDERS]:
    return self.providers[did]


@external
@pure
def lock_hash(
    did: bytes32, escrow: address, token: address, amounts: DynArray[uint256, MAX_SHARES],
    receivers: DynArray[address, MAX_SHARES],
) -> bytes32:
    return self._lock_hash(did, escrow, token, amounts, receivers)


@external
@pure
def compute_hash(did: bytes32, consumer: address) -> bytes32:
    return self._compute_hash(did, consumer)


@external
@pure
def escrow_hash(
    did: bytes32, amounts: DynArray[uint256, MAX_SHARES], receivers: DynArray[address, MAX_SHARES],
    return_address: address, escrow: address, token: address, lock: bytes32, release: DynArray[bytes32, 4],
) -> bytes32:
    return self._escrow_hash(did, amounts, receivers, return_address, escrow, token, lock, release)


@external
@pure
def condition_id(agreement: bytes32, contract: address, value_hash: bytes32) -> bytes32:
    return self._condition_id(agreement, contract, value_hash)


@internal
@view
def _check(terms: Terms, timelocks: uint256[3], timeouts: uint256[3]):
    assert len(terms.amounts) == len(terms.receivers), "Amounts and Receivers arguments have wrong length"
    total: uint256 = 0
    for i: uint256 in range(len(terms.receivers), bound=MAX_SHARES):
        assert terms.receivers[i] not in [empty(address), self], "Would be lost"
        total += terms.amounts[i]
    assert terms.return_address not in [empty(address), self], "Would be lost"
    for i: uint256 in range(3):
        assert timelocks[i] < MAX_BLOCKS and timeouts[i] < MAX_BLOCKS, "Invalid time margin"
        assert timeouts[i] == 0 or timelocks[i] < timeouts[i], "Invalid time margin"
    assert timeouts[ESCROW] == 0, "Invalid time margin"


@internal
@view
def _check_open(agreement: bytes32, which: uint256):
    """Only what is unfulfilled can be fulfilled, and not before its timelock."""
    created: uint256 = self.agreements[agreement].created
    assert created != 0, "Agreement missing"
    assert self.agreements[agreement].conditions[which].state == UNFULFILLED, "Invalid state transition"
    assert block.number >= created + self.agreements[agreement].conditions[which].timelock, "TimeLock is not over yet"


@internal
@view
def _is_timed_out(agreement: bytes32, which: uint256) -> bool:
    timeout: uint256 = self.agreements[agreement].conditions[which].timeout
    return timeout != 0 and block.number > self.agreements[agreement].created + timeout


@internal
@view
def _is_provider(agreement: bytes32, who: address) -> bool:
    did: bytes32 = self.agreements[agreement].terms.did
    return who == self.owners[did] or who in self.providers[did]


@internal
@view
def _total(agreement: bytes32) -> uint256:
    total: uint256 = 0
    for amount: uint256 in self.agreements[agreement].terms.amounts:
        total += amount
    return total


@internal
def _change(agreement: bytes32, which: uint256, state: uint256):
    self.agreements[agreement].conditions[which].state = state
    self.agreements[agreement].conditions[which].changed_at = block.timestamp
    log ConditionUpdated(
        agreement=agreement, condition=self.agreements[agreement].conditions[which].id, state=state
    )


@internal
def _pay(agreement: bytes32, target: address, amount: uint256, kind: uint256):
    if amount == 0:
        return
    token: address = self.agreements[agreement].terms.token
    if not self._transfer(token, target, amount, RECEIVER_GAS):
        self.owed[token][target] += amount
    log Moved(agreement=agreement, source=self, target=target, token=token, amount=amount, kind=kind)


@internal
def _transfer(token: address, target: address, amount: uint256, gas_limit: uint256) -> bool:
    if token == empty(address):
        return raw_call(target, b"", value=amount, gas=gas_limit, revert_on_failure=False)
    taken: bool = False
    answer: Bytes[32] = b""
    taken, answer = raw_call(
        token, abi_encode(target, amount, method_id=method_id("transfer(address,uint256)")),
        max_outsize=32, revert_on_failure=False,
    )
    return taken and (len(answer) == 0 or convert(answer, uint256) == 1)


@internal
@pure
def _lock_hash(
    did: bytes32, escrow: address, token: address, amounts: DynArray[uint256, MAX_SHARES],
    receivers: DynArray[address, MAX_SHARES],
) -> bytes32:
    return keccak256(abi_encode(did, escrow, token, amounts, receivers))


@internal
@pure
def _compute_hash(did: bytes32, consumer: address) -> bytes32:
    return keccak256(abi_encode(did, consumer))


@internal
@pure
def _escrow_hash(
    did: bytes32, amounts: DynArray[uint256, MAX_SHARES], receivers: DynArray[address, MAX_SHARES],
    return_address: address, escrow: address, token: address, lock: bytes32, release: DynArray[bytes32, 4],
) -> bytes32:
    return keccak256(abi_encode(did, amounts, receivers, return_address, escrow, token, lock, release))


@internal
@pure
def _condition_id(agreement: bytes32, contract: address, value_hash: bytes32) -> bytes32:
    return keccak256(abi_encode(agreement, contract, value_hash))
