"""A node with one data set on offer, and a consumer who has a program and money: what executions are tested with."""

import json

from django.test import Client
from django.utils import timezone
from tests.markets import condition, metadata, offer, participant, signed

from foedus.faces.nevermined.views.accounts import ASSERTION_TYPE
from foedus.faces.nevermined.views.node import GRANT_TYPES
from foedus.records.market.models import Account, Asset
from foedus.server.work import do_due
from foedus.services.market import agreements, catalogue, money
from foedus.services.market.agreements import OrderOffer
from foedus.services.market.files import Location, sealed_list
from foedus.services.market.parties import ANYBODY, actor_of, party_of
from foedus.wallet.grants import write_grant
from foedus.wallet.keys import Key, checked_address

OWNER, CONSUMER, OTHER = (Key(bytes([i]) * 32) for i in (1, 2, 3))
RECEIVERS = tuple(checked_address("0x" + digits * 20) for digits in ("aa", "bb"))  # of the builder's offer: 10 and 2
NODE = "/api/v1/node/services"
PRICE = {"_amounts": ["10", "2"], "_receivers": list(RECEIVERS)}
SCRIPT = 'wc -l < "$NEVERMINED_INPUTS_PATH/rows.csv" > "$NEVERMINED_OUTPUTS_PATH/count.txt"; echo counted'


class Market:
    """A node with one data set on offer, and a consumer who has a program and money."""

    def __init__(self, ports):
        self.ports, self.client = ports, Client(raise_request_exception=False)
        ports.blobs.put("rows", b"1\n2\n3\n")
        self.data = self.publish(OWNER, offer("compute"), metadata("dataset", name="Rows"), files=("rows.csv", "rows"))
        self.program = self.algorithm(SCRIPT)
        self.consumer = party_of(CONSUMER.address, now=self.now)
        Account.objects.filter(address=CONSUMER.address).update(is_administrator=True)
        rich = actor_of(Account.objects.get(address=CONSUMER.address))
        money.mint(ports, rich, CONSUMER.address, 1000, reference="r", now=self.now)
        Account.objects.update(is_administrator=False)

    @property
    def now(self):
        return timezone.now()

    def publish(self, key, *services, files=None):
        about = services[-1]
        if files:
            about["attributes"]["encryptedFiles"] = sealed_list(self.ports, (Location(files[0], f"foedus:{files[1]}"),))
        document = signed(key, *services)
        catalogue.publish(ANYBODY, document, now=self.now)
        return document.did

    def algorithm(self, script):
        return self.publish(CONSUMER, metadata("algorithm", name=script, algorithm={"entrypoint": script}))

    def workflow(self, *inputs, kind="Filtering", program=None, **changes):
        about = participant(*(str(each) for each in inputs or (self.data,)), algorithm=str(program or self.program))
        stage = about["attributes"]["main"]["workflow"]["stages"][0]
        stage.update({"stageType": kind, "output": {"metadataUrl": "x"}, **changes})
        about["attributes"]["main"]["name"] = f"workflow {Asset.objects.count()}"
        return self.publish(CONSUMER, about)

    def order(self, seed=1, did=None, index=""):
        command = OrderOffer(did=did or self.data, seed=bytes([seed]) * 32, index=index)
        return agreements.order(self.ports, self.consumer, command, now=self.now).purchase.agreement

    def token(self, purpose, key=CONSUMER, prefix=NODE, **claims):
        grant = write_grant(key, {"aud": f"{prefix}/{purpose}", **claims}, now=self.now.timestamp())
        form = {"grant_type": GRANT_TYPES[0], "assertion": grant}
        answer = self.client.post(f"{prefix}/oauth/token", form)
        assert answer.status_code in (200, 201), answer.content
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def login(self, key=CONSUMER):
        grant = write_grant(key, {}, now=self.now.timestamp())
        form = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": grant}
        return {"Authorization": f"Bearer {self.client.post('/api/v1/auth/login', form).json()['access_token']}"}

    def execute(self, agreement, workflow, key=CONSUMER, path=None, body=None):
        headers = self.token("execute", key, sub=agreement, did=str(workflow))
        more = {} if body is None else {"data": body, "content_type": "application/json"}
        return self.client.post(path or f"{NODE}/execute/{agreement}", headers=headers, **more)

    def get(self, path, purpose="compute", prefix=NODE, **claims):
        return self.client.get(prefix + path, headers=self.token(purpose, prefix=prefix, **claims))

    def encrypted(self, *urls):
        fields = {"message": json.dumps([{"url": url} for url in urls]), "method": "PSK-RSA"}
        return self.client.post(f"{NODE}/encrypt", fields).json()["hash"]

    def publish_sealed(self, key, sealed, kind="dataset", **main):
        about = metadata(kind, name=f"asset {Asset.objects.count()}", **main)
        about["attributes"]["encryptedFiles"] = sealed
        return self.publish(key, about)

    def download(self, did, key=CONSUMER):
        return self.client.get(f"{NODE}/download/0", headers=self.token("download", key, did=str(did)))

    def priced(self):
        """A data set of one file to which access is sold."""
        terms = [condition("lockPayment", **PRICE), condition("access"), condition("escrowPayment", **PRICE)]
        sold = {**offer("access", agreed=terms), "index": 3}
        about = metadata("dataset", name=f"Files {Asset.objects.count()}")
        return self.publish(OWNER, sold, about, files=("rows.csv", "rows"))

    def work(self):
        return do_due(self.ports, self.now)


def balances(market):
    token = market.ports.ledger.network().token
    return [market.ports.ledger.balance(address, token) for address in (CONSUMER.address, *RECEIVERS)]
