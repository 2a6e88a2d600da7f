"""Records that are told in types nobody expects, so that a quarantine has something to show.

Belongs here: which ones. Not here: what changes a record (`faults`).
"""

from datetime import date

from b2chat_pipeline.simulator.faults import Fault
from b2chat_pipeline.simulator.world import World

# Positions among the chats of a day. Every seventh chat brings a contact that is new.
_CHAT, _CHAT_OF_NEW_CONTACT = 3, 7


def misfits_of(world: World, day: date) -> list[Fault]:
    """From now on, a chat of a day has a number for a duration, and a contact that is new that day a list of e-mails.

    Of a day with too few chats, there are none.
    """
    if world.chats_on(day) <= _CHAT_OF_NEW_CONTACT:
        return []
    chat, contact = world.chat(day, _CHAT), world.chat(day, _CHAT_OF_NEW_CONTACT).contact
    odd = [Fault(kind="set_field", record_id=chat.chat_id, field="duration", value=754, times=None)]
    if contact is not None:
        two = ["a@example.test", "b@example.test"]
        who = str(contact.contact_id)
        odd.append(
            Fault(kind="set_field", path="/contacts/export", record_id=who, field="email", value=two, times=None)
        )
    return odd
