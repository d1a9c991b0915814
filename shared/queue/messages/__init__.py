"""Typed, versioned events: every one carries the full current state of its aggregate."""

from shared.queue.messages.base import Envelope, EventState, parse, state_of, state_type

__all__ = ["Envelope", "EventState", "parse", "state_of", "state_type"]
