"""What the invented account is made of: agents, contacts, and each chat as a timeline.

Instants are whole UTC epoch seconds.

Belongs here: the shapes. Not here: how they are invented (`world`, `timeline`, `people`), what the API shows of them
at an instant (`state`).
"""

import msgspec

# Stands in a media URL where the signature of each answer goes.
SIGNATURE_MARK = "{signature}"


class Agent(msgspec.Struct, frozen=True):
    """A person who answers. The API knows no id; the username is the key."""

    username: str
    name: str
    email: str


class ContactVersion(msgspec.Struct, frozen=True):
    """What is known of a contact from `since` on, in the full form's fields."""

    since: int
    fullname: str
    mobile: str
    landline: str | None
    email: str
    identification: str
    address: str
    city: str
    country: str
    company: str
    custom_attributes: tuple[tuple[str, str | None], ...]
    tags: tuple[tuple[str, int], ...]


class Contact(msgspec.Struct, frozen=True):
    """A customer. Its record is touched every `update_interval` seconds; what is known grows at the first touch."""

    contact_id: int
    created: int
    update_interval: int
    first: ContactVersion
    later: ContactVersion

    def version(self, now: int) -> ContactVersion:
        """What is known at `now`."""
        return self.later if now >= self.later.since else self.first

    def updated(self, now: int) -> int:
        """When the record was last touched, seen from `now`."""
        return self.created + max(0, now - self.created) // self.update_interval * self.update_interval


class Message(msgspec.Struct, frozen=True, gc=False):
    """One message. `body` is the text, or the media URL with `SIGNATURE_MARK` in its query string."""

    at: int
    incoming: bool
    type: str
    body: str
    broadcasted: bool = False
    caption: str | None = None


class Phase(msgspec.Struct, frozen=True):
    """Everything a chat says of itself from `at` on, until its next phase."""

    at: int
    status: str
    agent: Agent | None = None
    opened_at: int | None = None
    picked_up_at: int | None = None
    responded_at: int | None = None
    closed_at: int | None = None
    tags: tuple[str, ...] = ()


class ChatScript(msgspec.Struct, frozen=True):
    """A whole chat, from its creation to its last survey answer. Phases and messages are in order of time."""

    chat_id: str
    alias: str
    provider: str
    contact: Contact | None
    department: str | None
    agent_started: bool
    is_agent_available: bool
    tags_as_objects: bool
    created_at: int
    phases: tuple[Phase, ...]
    messages: tuple[Message, ...]

    def phase(self, now: int) -> Phase:
        """The phase that holds at `now` (the first one before creation)."""
        return next((phase for phase in reversed(self.phases) if phase.at <= now), self.phases[0])
