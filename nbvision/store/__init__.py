"""Every call of this person's notebooks, kept in one SQLite file: intents, answers, money."""

from nbvision.store.allowances import Allowance, KeptAllowance, Taken, too_dear
from nbvision.store.leases import Lease
from nbvision.store.notices import StoreNotice
from nbvision.store.opening import OFF, open_store
from nbvision.store.records import Ending, Intent, Kept, PastCall, SentPicture, Spent
from nbvision.store.store import Store

__all__ = [
    "OFF",
    "Allowance",
    "Ending",
    "Intent",
    "Kept",
    "KeptAllowance",
    "Lease",
    "PastCall",
    "SentPicture",
    "Spent",
    "Store",
    "StoreNotice",
    "Taken",
    "open_store",
    "too_dear",
]
