"""The contracts on an Ethereum virtual machine in this process, behind web3. Most of it is slow."""

import sys
from datetime import UTC, datetime
from functools import cache

import pytest
from structlog.testing import capture_logs
from tests.contracts.ledger import (
    CONSUMER,
    DID,
    MARKET,
    NODE,
    OWNER,
    STRANGER,
    LedgerContract,
    agree,
    balances,
    order,
)

from foedus.connectors.addresses import BadAddress
from foedus.connectors.ledger.evm.chain import Chain
from foedus.connectors.ledger.evm.deploying import deploy
from foedus.connectors.ledger.evm.ledger import EvmLedger
from foedus.connectors.secrets.memory import MemorySecrets
from foedus.core.errors import Conflict
from foedus.core.market.escrow import NATIVE, BadShares, Outcome
from foedus.ports.ledger import LedgerUnavailable, NoFaucet, NoKey, ProvidersKept
from foedus.wallet.keys import Key

pytest.importorskip("eth", reason="eth-tester[py-evm] is not installed")
pytest.importorskip("py_ecc")
from eth_tester import EthereumTester
from eth_tester.exceptions import TransactionFailed
from web3 import EthereumTesterProvider, Web3

# The two that were imported first allow a recursion so deep that other tests in this process would overflow the stack.
sys.setrecursionlimit(1_000)  # as Python has it

OPERATOR = Key(b"\x09" * 32)
KEYS = [Key(bytes([16 + i]) * 32) for i in range(6)]
ETHER = 10**18


class Node(EthereumTesterProvider):
    """Says what it refuses as nodes do, in an answer."""

    def make_request(self, method, params):
        try:
            return super().make_request(method, params)
        except TransactionFailed as exc:
            return {"jsonrpc": "2.0", "id": 1, "error": {"code": 3, "message": str(exc)}}


@cache
def deployed():
    """A chain with both contracts on it, on which everybody has coins for gas; and how it looked then."""
    tester = EthereumTester()
    web3 = Web3(Node(tester))
    rich = tester.get_accounts()[0]
    for key in (OPERATOR, *KEYS):
        web3.eth.send_transaction({"from": rich, "to": key.address, "value": 50 * ETHER})
    chain = Chain(web3, [OPERATOR, *KEYS], confirmations=0, timeout_s=5)
    return tester, web3, deploy(chain, OPERATOR), tester.take_snapshot()


class EvmWorld:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    steps = 25
    fees = 0

    def __init__(self, *, keys=KEYS, confirmations=0, timeout_s=5):
        self.tester, self.web3, self.addresses, snapshot = deployed()
        self.tester.revert_to_snapshot(snapshot)
        self.ledger = self.opened(keys=keys, confirmations=confirmations, timeout_s=timeout_s)
        self._gifts = 0

    def opened(self, *, keys=KEYS, confirmations=0, timeout_s=5):
        chain = Chain(self.web3, [OPERATOR, *keys], confirmations=confirmations, timeout_s=timeout_s)
        return EvmLedger(chain, *self.addresses)

    def party(self, i):
        return KEYS[i].address

    def give(self, address, token, amount):
        self._gifts += 1
        self.ledger.mint(address, token, amount, reference=f"gift {self._gifts}", now=self.now)

    def native(self, i):
        """What a party has of the coin, and what it spent on gas."""
        return self.ledger.balance(self.party(i), NATIVE) + sum(self._gas(self.party(i)))

    def _gas(self, address):
        for number in range(self.web3.eth.block_number + 1):
            for found in self.web3.eth.get_block(number, full_transactions=True)["transactions"]:
                if found["from"] == address:
                    receipt = self.web3.eth.get_transaction_receipt(found["hash"])
                    yield receipt["gasUsed"] * receipt["effectiveGasPrice"]

    def pass_blocks(self, n):
        self.tester.mine_blocks(n)


@pytest.fixture
def world():
    return EvmWorld()


@pytest.mark.slow
class TestEvmLedger(LedgerContract):
    @pytest.fixture
    def world(self, world):
        return world


def test_an_owner_spends_the_operators_coin_once(world, monkeypatch):
    ledger, owner = world.opened(keys=[], timeout_s=0.2), world.party(OWNER)

    def register(*providers, **may):
        ledger.register(DID, owner=owner, providers=[world.party(each) for each in providers], now=world.now, **may)

    posted, post = [], Chain.post
    monkeypatch.setattr(Chain, "post", lambda *call: posted.append(call) or post(*call))
    world.tester.disable_auto_mine_transactions()
    try:
        for providers in ([NODE], [NODE], [STRANGER]):
            with pytest.raises(LedgerUnavailable, match="ask again"):
                register(*providers)
        assert len(posted) == 1, "it is on its way"
    finally:
        world.tester.enable_auto_mine_transactions()
    register(NODE)
    with pytest.raises(ProvidersKept):
        register(STRANGER)
    assert len(posted) == 1
    register(STRANGER, may_change=True)
    assert len(posted) == 2
    assert agree(world).seen.providers == (world.party(STRANGER),)


@pytest.fixture
def deal(world):
    world.ledger.register(DID, owner=world.party(OWNER), providers=[world.party(NODE)], now=world.now)
    world.give(world.party(CONSUMER), world.ledger.network().token, 20)
    return agree(world)


def test_an_agreement_goes_from_order_to_shares_and_another_back(world, deal):
    token = world.ledger.network().token
    back = agree(world, amounts=(5, 3))
    for step in (deal.lock, deal.lock, back.lock, deal.grant, lambda: back.abort(by=NODE), deal.settle, back.settle):
        step()

    assert (deal.seen.outcome, back.seen.outcome) == (Outcome.RELEASED, Outcome.REFUNDED)
    assert balances(world, token) == [10, 0, 8, 2, 0, 0, 0]


def test_the_contract_computes_the_published_ids_and_hashes(world):
    """Values of the market's specification, computed by the contract's own code."""

    def address(byte):
        return Web3.to_checksum_address("0x" + f"{byte:02x}" * 20)

    agreement = bytes.fromhex("768bcfd48eb09276fb45efc288bfbbbd1a2e91363b9a47cb597b5d6fc796c2f4")
    amounts, receivers = [10, 2], [address(0xAA), address(0xBB)]
    escrow, token, consumer = address(0xEE), address(0xDD), address(0xCC)
    code = world.ledger._agreements.functions

    lock = code.lock_hash(DID.value, escrow, token, amounts, receivers).call()
    lock_id = code.condition_id(agreement, address(0x11), lock).call()
    compute = code.compute_hash(DID.value, consumer).call()
    compute_id = code.condition_id(agreement, address(0x22), compute).call()
    emptied = code.escrow_hash(DID.value, amounts, receivers, consumer, escrow, token, lock_id, [compute_id]).call()

    assert [each.hex() for each in (lock, lock_id, compute, compute_id, emptied)] == [
        "f80b686de894df5de599fffb262daaecec4b4cf173dd05229702f1bbf32683a1",
        "204e769b80f088a766e904e59bc578992fa00f58ced4771feaea76ed8eb54421",
        "7ae833786f07afe5d625306b12eeb6048269e18f509be6d6d5cc803891a07aa6",
        "dde1796d1cf78de3da22d5bfb7ab999525a9eee619ecc5a655e766a1620dbb72",
        "2e87a04084c021a8da11da9b0d202e77195b41b63466802d67b27cad21cbb54e",
    ]
    assert code.condition_id(agreement, escrow, emptied).call().hex() == (
        "8c4f0fefb8b5bfe523343f1d8cc7bdfad44f11afe7d0b893aeec6f146a3c1a43"
    )


@pytest.mark.slow
def test_the_artifacts_are_what_the_sources_say():
    pytest.importorskip("vyper", reason="vyper is not installed")
    import importlib.util
    from pathlib import Path

    path = Path(__file__).parents[3] / "dev" / "contracts.py"
    spec = importlib.util.spec_from_file_location("contracts", path)
    contracts = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(contracts)

    for artifact_path, text in contracts.artifacts().items():
        assert artifact_path.read_text("utf-8") == text, f"{artifact_path.name}: run python dev/contracts.py"


@pytest.mark.slow
def test_a_step_without_a_key_here_is_for_a_wallet(world, deal):
    node = world.opened(keys=[KEYS[NODE]])

    with pytest.raises(NoKey, match="wallet"):
        node.lock(deal.id, payer=world.party(CONSUMER), now=world.now)
    deal.lock()
    assert node.grant(deal.id, by=world.party(NODE), now=world.now).compute.state == 2


@pytest.mark.slow
def test_a_chains_coin_is_not_minted(world):
    with pytest.raises(NoFaucet):
        world.ledger.mint(world.party(OWNER), NATIVE, 1, reference="x", now=world.now)


class CutOff(Node):
    """Loses the answer to the next transaction that is sent: it happened, and nobody here knows."""

    armed = True

    def make_request(self, method, params):
        answer = super().make_request(method, params)
        if method == "eth_sendRawTransaction" and self.armed:
            self.armed = False
            raise ConnectionError("the line was cut")
        return answer


@pytest.mark.parametrize(
    "step", ["settle", *(pytest.param(step, marks=pytest.mark.slow) for step in ("create", "lock", "grant"))]
)
def test_a_step_whose_answer_was_lost_is_not_taken_twice(world, deal, step):
    token = world.ledger.network().token
    world.give(world.party(CONSUMER), token, 100)
    wanted = order(world)
    steps = {
        "create": lambda ledger: ledger.create(wanted, now=world.now),
        "lock": lambda ledger: ledger.lock(deal.id, payer=world.party(CONSUMER), now=world.now),
        "grant": lambda ledger: ledger.grant(deal.id, by=world.party(NODE), now=world.now),
        "settle": lambda ledger: ledger.settle(deal.id, by=world.party(STRANGER), now=world.now),
    }
    for before in {"grant": ["lock"], "settle": ["lock", "grant"]}.get(step, []):
        steps[before](world.ledger)
    if step == "lock":  # so that the payment is what is lost, not the approval
        world.ledger._approve(token, world.party(CONSUMER), 12)
    cut = Chain(Web3(CutOff(world.tester)), [OPERATOR, *KEYS], confirmations=0, timeout_s=5)

    with pytest.raises(LedgerUnavailable):
        steps[step](EvmLedger(cut, *world.addresses))
    sent = world.web3.eth.block_number
    steps[step](world.opened())

    assert world.web3.eth.block_number == sent
    assert sum(balances(world, token)) == 120


@pytest.mark.slow
def test_what_is_not_deep_enough_is_not_reported(world, deal):
    careful = world.opened(confirmations=3, timeout_s=0.3)
    world.pass_blocks(3)
    assert careful.get(deal.id, now=world.now).lock.state == 1

    with pytest.raises(LedgerUnavailable, match="blocks deep yet"):
        careful.lock(deal.id, payer=world.party(CONSUMER), now=world.now)

    for blocks, reported in ((2, False), (1, True)):
        world.pass_blocks(blocks)
        assert careful.get(deal.id, now=world.now).is_locked is reported
    assert careful.lock(deal.id, payer=world.party(CONSUMER), now=world.now).is_locked
    assert balances(world, world.ledger.network().token)[CONSUMER] == 8


@pytest.mark.slow
def test_what_a_reorganisation_undid_is_found_undone_and_done_again(world, deal):
    before = world.tester.take_snapshot()
    deal.lock()
    world.tester.revert_to_snapshot(before)

    assert not deal.seen.is_locked
    assert deal.lock().is_locked


@pytest.mark.slow
def test_a_receiver_that_takes_no_coins_holds_up_nobody(world, deal):
    """The token's contract has no way to take coins in."""
    refuses = world.ledger.network().token
    bought = agree(world, native=True, receivers=(refuses, world.party(MARKET)))
    before = world.native(MARKET)
    for step in (bought.lock, bought.grant, bought.settle):
        step()

    assert world.native(MARKET) - before == 2
    assert world.ledger._agreements.functions.owed(NATIVE, refuses).call() == 10
    assert world.ledger.balance(world.ledger.network().contracts.escrow, NATIVE) == 10


@pytest.mark.slow
def test_the_contract_itself_refuses_what_the_connector_would_never_ask(world, deal):
    code, chain = world.ledger._agreements.functions, world.ledger._chain
    escrow, consumer = world.ledger.network().contracts.escrow, world.party(CONSUMER)
    terms = (DID.value, consumer, [1], [escrow], NATIVE, consumer)

    with pytest.raises(BadShares):
        chain.send(code.create(b"\x01" * 32, terms, [0, 0, 0], [0, 0, 0]), world.party(CONSUMER))
    with pytest.raises(Conflict):
        chain.send(code.settle(deal.id), world.party(STRANGER))
    with pytest.raises(NoKey):
        chain.send(code.register(b"\x02" * 32, world.party(OWNER), []), world.party(STRANGER))
    assert code.owners(b"\x02" * 32).call() == NATIVE


@pytest.mark.parametrize(
    "url",
    [
        "evm:",
        "evm:http://127.0.0.1:8545",
        "evm:ftp://x?contract=0x0&token=0x0",
        f"evm:http://x?contract=0x{'ab' * 20}&token=0x{'ab' * 20}&confirmations=-1",
        "evm:http://x?contract=1&token=2&speed=3",
    ],
)
def test_an_address_that_means_nothing_is_refused(tmp_path, url):
    with pytest.raises(BadAddress):
        EvmLedger.from_url(url, data=tmp_path, secrets=MemorySecrets())


class Stingy(Node):
    """Says how much gas a step takes as long as it changes nothing that is there already, as nodes do."""

    def make_request(self, method, params):
        answer = super().make_request(method, params)
        if method == "eth_estimateGas" and "result" in answer:
            answer["result"] -= 20_000
        return answer


def test_a_step_may_take_more_gas_than_it_seemed(world, deal):
    chain = Chain(Web3(Stingy(world.tester)), [OPERATOR, *KEYS], confirmations=0, timeout_s=5)
    ledger = EvmLedger(chain, *world.addresses)

    assert ledger.lock(deal.id, payer=world.party(CONSUMER), now=world.now).is_locked
    assert ledger.grant(deal.id, by=world.party(NODE), now=world.now).compute.state == 2


class Away(Node):
    """Answers once it ``is_there``; ``chain`` is what it then says it is of."""

    is_there = False

    def make_request(self, method, params):
        if not self.is_there:
            raise ConnectionError("connection refused")
        return super().make_request(method, params)


def test_a_node_may_come_later_than_the_ledger(world):
    node = Away(world.tester)
    ledger = EvmLedger(Chain(Web3(node), KEYS, confirmations=0, timeout_s=5), *world.addresses)
    token = world.ledger.network().token

    for ask in (ledger.network, lambda: ledger.balance(OPERATOR.address, token), lambda: ledger.get(DID.value, now=0)):
        with pytest.raises(LedgerUnavailable):
            ask()
    node.is_there = True

    assert ledger.network() == world.ledger.network()


def test_a_node_that_comes_later_and_is_of_another_chain_is_not_used(world):
    chain = Chain(world.web3, KEYS, confirmations=0, timeout_s=5, chain_id=7)

    with pytest.raises(LedgerUnavailable, match="and the ledger is on chain 7"):
        EvmLedger(chain, *world.addresses).balance(OPERATOR.address, NATIVE)


def test_a_server_starts_without_its_node_and_says_so(tmp_path):
    address = "0x" + "ab" * 20
    url = f"evm:http://127.0.0.1:9?contract={address}&token={address}"

    with capture_logs() as said:
        ledger = EvmLedger.from_url(url, data=tmp_path, secrets=MemorySecrets())

    assert [(each["event"], each["node"]) for each in said] == [("ledger.away", "127.0.0.1")]
    with pytest.raises(LedgerUnavailable):
        ledger.network()
