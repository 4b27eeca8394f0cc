"""The other side of the wire: a server on this machine that speaks what the services speak.

It answers the real `anthropic` and `boto3` clients from the pixels that they send, without a
key and without a network. It shares no code with the side it checks: of the package it knows
only the published geometry, the samples and the errors.
"""

from nbvision.practice.arrivals import Arrival
from nbvision.practice.ordered_faults import FAULTS, Faults
from nbvision.practice.server import PracticeServer, serve_forever

__all__ = ["FAULTS", "Arrival", "Faults", "PracticeServer", "serve_forever"]
