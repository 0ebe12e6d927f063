"""A customer's project as a node of a federation: made, invited, joined, started and looked into.

    first = FederationNode.create(clinic, "visits", {"fed_name": "study", "sync_sched": "m5", "nats_hosts": hosts})
    text = first.invite(password, url="https://clinic.example")     # to whoever joins; the password by another way

    second = FederationNode.join(practice, "visits", open_invitation(password, text))
    second.start()

What the settings mean is in docs/reference/symetryml-api.md. Raises what ``Customer`` raises.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Self
from urllib.parse import quote, urlencode

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from foedus.core.symetryml.invitations import ABOUT, CannotOpenInvitation, SealedText
from foedus.sdk.symetryml import Customer

Settings = Mapping[str, str]


def open_invitation(password: str, text: str) -> dict[str, str]:
    """What an invitation tells whoever joins; it holds the federation's key. Raises CannotOpenInvitation."""
    found = SealedText.parse(text)
    try:
        told = json.loads(AESGCM(found.key(password)).decrypt(found.nonce, found.sealed, ABOUT))
    except (InvalidTag, ValueError):
        raise CannotOpenInvitation from None
    if not isinstance(told, dict) or not all(isinstance(value, str) for value in told.values()):
        raise CannotOpenInvitation("what the invitation holds is no map of texts")
    return told


class FederationNode:
    """Some calls are the federation's admin's alone, who is whoever created it: they say so."""

    def __init__(self, customer: Customer, project: str) -> None:
        self.customer, self.project = customer, project

    @classmethod
    def create(cls, customer: Customer, project: str, settings: Settings) -> Self:
        """A federation, whose admin is this node."""
        customer.call("POST", f"fedml/create?{_query(project)}", dict(settings), sealed=True)
        return cls(customer, project)

    @classmethod
    def join(cls, customer: Customer, project: str, invitation: Settings, **own: str) -> Self:
        """``invitation``: as ``open_invitation`` gives it. ``own``: what is this node's, such as ``fed_local_id``, the
        name that others see.
        """
        customer.call("POST", f"fedml/createJoin?{_query(project)}", {**invitation, **own}, sealed=True)
        return cls(customer, project)

    def invite(self, password: str, *, url: str = "", hours: float = 2.0) -> str:
        """The admin's: a text that lets one node join, for so long. ``url``: this server as others reach it; without it
        the new node is let in by message, once both pulse.
        """
        asked = {"passwd": password, "fed_rest_host": url, "fed_token_hours": str(hours)}
        return str(self._call("POST", "getInvitation", asked, sealed=True)["fedInfoEncrypted"])

    def start(self) -> None:
        """Begin to pulse: to send what the project learns, and to take in what others send."""
        self._call("POST", "startPulse")

    def stop(self) -> None:
        self._call("POST", "stopPulse")

    def sync(self) -> None:
        """Have all nodes send what they have, now."""
        self._call("POST", "fullSyncRequest")

    def status(self) -> dict[str, Any]:
        """Who is there, what is held of each, and under ``reasons`` why answers here may not be those of all."""
        status = self._call("GET", "status")["fedStatus"]
        return dict(status)

    def statistics(self) -> dict[str, Any]:
        """How much was sent, received and refused."""
        return dict(self._call("GET", "syncStats")["fedSyncStats"])

    def errors(self) -> list[str]:
        """What went wrong or was refused."""
        return list(self._call("GET", "getErrorLog")["stringList"]["values"])

    def syncs(self) -> list[str]:
        """What was sent and received."""
        return list(self._call("GET", "getSyncLog")["stringList"]["values"])

    def let_explore(self, *, allow: bool) -> None:
        """Let other nodes explore this one's statistics by themselves, or no longer."""
        self._call("POST", f"setExplorePeers?allowExplore={str(allow).lower()}")

    def reschedule(self, schedule: str) -> None:
        """The admin's."""
        self._call("POST", f"newSchedule?{urlencode({'newSchedule': schedule})}")

    def check_contract(self, rules: Sequence[str]) -> str:
        """What is wrong with these rules; empty when nothing is."""
        return str(self._call("POST", "contractValidate", {"values": list(rules)}).get("string", ""))

    def agree(self, rules: Sequence[str]) -> None:
        """The admin's: the contract from now on."""
        self._call("POST", "addContract", {"values": list(rules)})

    def remove(self, peer: str) -> None:
        """The admin's: have all others drop the node of that id, and change the key."""
        self._call("POST", f"removePeer?{urlencode({'peer': peer})}")

    def rotate_key(self) -> None:
        """The admin's."""
        self._call("POST", "rotateKey")

    def leave(self) -> None:
        """All others drop what this node sent. When the admin leaves, the federation ends."""
        self._call("POST", "leave")

    def _call(self, verb: str, what: str, body: Any = None, *, sealed: bool = False) -> dict[str, Any]:
        return self.customer.call(verb, f"fedml/{quote(self.project, safe='')}/{what}", body, sealed=sealed)


def _query(project: str) -> str:
    return urlencode({"pid": project, "persist": "true"})
