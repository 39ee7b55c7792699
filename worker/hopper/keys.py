"""Names of the Redis keys that Python reads; the scripts build theirs by `scripts/shared/keys.lua`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Keys:
    """
    Key names under one namespace.

    Shapes and meanings stand at the top of `scripts/shared/keys.lua`; only what is read outside a script is here.
    """

    namespace: str

    def job(self, job_id: str) -> str:
        """Hash: the record of one job."""
        return f"{self.namespace}:job:{job_id}"

    def lane(self, pbx: str, extid: str) -> str:
        """Sorted set: jobs of one extension that may go now."""
        return f"{self.namespace}:lane:{pbx}:{extid}"

    def ring(self, pbx: str, rank: int) -> str:
        """Sorted set: extensions whose first job has this rank, by the time they may ring next."""
        return f"{self.namespace}:ring:{pbx}:{rank}"

    def later(self, pbx: str) -> str:
        """Sorted set: jobs whose time has not come, by due time."""
        return f"{self.namespace}:later:{pbx}"

    def released(self, pbx: str) -> str:
        """Sorted set: jobs of one PBX handed to Celery."""
        return f"{self.namespace}:released:{pbx}"

    def lines(self, pbx: str) -> str:
        """Sorted set: open calls of one PBX, by end of lease."""
        return f"{self.namespace}:lines:{pbx}"

    def exts(self, pbx: str) -> str:
        """Sorted set: extensions in a call or resting, by end of lease."""
        return f"{self.namespace}:exts:{pbx}"

    def doubts(self, pbx: str) -> str:
        """Sorted set: claimed jobs of one PBX of which nobody knows whether they rang."""
        return f"{self.namespace}:doubts:{pbx}"

    def pbx(self, pbx: str) -> str:
        """Hash: limits and state of one PBX."""
        return f"{self.namespace}:pbx:{pbx}"

    def token(self, pbx: str) -> str:
        """Hash: the shared login of one PBX."""
        return f"{self.namespace}:token:{pbx}"

    def end(self, job_id: str) -> str:
        """Channel on which one job's end is told."""
        return f"{self.namespace}:end:{job_id}"

    def api_key(self, key_id: str) -> str:
        """Hash: one API key."""
        return f"{self.namespace}:apikey:{key_id}"

    def delivery(self, delivery_id: str) -> str:
        """Hash: one result on its way to one target."""
        return f"{self.namespace}:delivery:{delivery_id}"

    def due(self, target: str) -> str:
        """Sorted set: deliveries that wait, by the time of their next attempt."""
        return f"{self.namespace}:due:{target}"

    def flying(self, target: str) -> str:
        """Sorted set: deliveries in flight, by end of lease."""
        return f"{self.namespace}:flying:{target}"

    def dead(self, target: str) -> str:
        """Sorted set: dead letters, by the time they were given up."""
        return f"{self.namespace}:dead:{target}"

    def target(self, target: str) -> str:
        """Hash: how a target fares."""
        return f"{self.namespace}:target:{target}"

    @property
    def api_keys(self) -> str:
        """Set: ids of all API keys."""
        return f"{self.namespace}:apikeys"

    @property
    def ends(self) -> str:
        """Pattern of the channels on which the ends of all jobs are told."""
        return f"{self.namespace}:end:*"

    @property
    def known(self) -> str:
        """Set: names of all PBXs that workers have registered."""
        return f"{self.namespace}:known"

    @property
    def paused(self) -> str:
        """Set: paused PBXs, and * for the kill switch."""
        return f"{self.namespace}:paused"

    @property
    def pauses(self) -> str:
        """Hash: PBX, `*` or PBX/EXT to who paused it, when and why, as JSON."""
        return f"{self.namespace}:pauses"

    @property
    def audit(self) -> str:
        """Stream: what operators did, oldest first."""
        return f"{self.namespace}:audit"

    @property
    def ended(self) -> str:
        """Sorted set: ended jobs by the time they ended."""
        return f"{self.namespace}:ended"

    @property
    def arrivals(self) -> str:
        """Sorted set: all jobs there is a record of, in the order they were handed in."""
        return f"{self.namespace}:arrivals"

    @property
    def wake(self) -> str:
        """List: one token when a sleeping pacer should look again."""
        return f"{self.namespace}:wake"

    @property
    def aside(self) -> str:
        """List: notes of what was set aside, newest first."""
        return f"{self.namespace}:aside"

    @property
    def aside_count(self) -> str:
        """String: how many were set aside, those no longer in the list included."""
        return f"{self.namespace}:aside_count"

    @property
    def workers(self) -> str:
        """Hash: worker name to `slots|alive until`."""
        return f"{self.namespace}:workers"

    @property
    def guard(self) -> str:
        """Hash: what the workers know of Redis's clock, and how often a reload was asked for."""
        return f"{self.namespace}:guard"

    @property
    def reports(self) -> str:
        """Hash: name of a process to `alive until|which settings it has`."""
        return f"{self.namespace}:reports"

    @property
    def endpoints(self) -> str:
        """Set: names of all targets that ever had a delivery."""
        return f"{self.namespace}:endpoints"

    @property
    def couriers(self) -> str:
        """Hash: name of a process that delivers to `slots|alive until`."""
        return f"{self.namespace}:couriers"

    @property
    def courier_wake(self) -> str:
        """List: one token when a sleeping courier should look again."""
        return f"{self.namespace}:courier_wake"
