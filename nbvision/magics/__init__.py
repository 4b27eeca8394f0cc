"""Magics: ``%nbvision``, ``%%describe``, ``%%compare``, ``%%locate`` and ``%%ask``.

A line names pictures and options, the cell holds the prompt. Each is a layer over the plain
call of the same name and shows what it returns; `nbvision.load_ipython_extension` loads them.
"""

from nbvision.magics.extension import load, unload

__all__ = ["load", "unload"]
