"""What several tasks of one job train together: sums and copies over TCP, through rank 0.

RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT say who is who, as for torch.distributed. Sums are made in
the order of ranks, so the same tasks get the same bytes every time.
"""
import os
import socket
import sys
import time

import numpy as np

PATIENCE_S = 60  # until the others are there


def receive(peer, array):
    """Fill ARRAY, which is contiguous, from PEER."""
    rest = memoryview(array).cast("B")
    while rest:
        count = peer.recv_into(rest)
        if count == 0:
            raise ConnectionError("another task has ended")
        rest = rest[count:]


class Group:
    def __init__(self):
        self.rank = int(os.environ.get("RANK", "0"))
        self.size = int(os.environ.get("WORLD_SIZE", "1"))
        self.peers = []  # rank 0 has all others, in their order; they have rank 0
        if self.size == 1:
            return
        place = os.environ.get("MASTER_ADDR", "127.0.0.1"), int(os.environ.get("MASTER_PORT", "29500"))
        if self.rank == 0:
            self.peers = self.await_others(place)
        else:
            self.peers = [self.join(place)]
        for peer in self.peers:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def await_others(self, place):
        others = {}
        with socket.create_server(place, backlog=self.size) as server:
            server.settimeout(PATIENCE_S)
            while len(others) < self.size - 1:
                peer, _ = server.accept()
                peer.settimeout(None)
                rank = np.zeros(1, np.int64)
                receive(peer, rank)
                others[int(rank[0])] = peer
        return [others[rank] for rank in sorted(others)]

    def join(self, place):
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                peer = socket.create_connection(place)
                break
            except OSError as error:
                if time.monotonic() > until:
                    sys.exit(f"rank {self.rank}: rank 0 is not at {place[0]}:{place[1]}: {error}")
                time.sleep(0.05)
        peer.sendall(np.array([self.rank], np.int64))
        return peer

    def share(self, count):
        """The part of COUNT things that is this rank's."""
        if count % self.size:
            sys.exit(f"{count} sequences a step cannot be shared evenly by {self.size} tasks")
        part = count // self.size
        return slice(self.rank * part, (self.rank + 1) * part)

    def sum(self, array):
        """In every rank ARRAY becomes the sum of all."""
        if self.rank == 0:
            other = np.empty_like(array)
            for peer in self.peers:
                receive(peer, other)
                array += other
        self.give(array, own=True)

    def give(self, array, own=False):
        """In every rank ARRAY becomes what it is in rank 0; OWN: it was asked for that."""
        if self.rank == 0:
            for peer in self.peers:
                peer.sendall(array)
        else:
            if own:
                self.peers[0].sendall(array)
            receive(self.peers[0], array)

    def mean(self, loss, gradients, flag):
        """Loss and gradients (in place) averaged over the ranks; is FLAG set in any?"""
        if self.size == 1:
            return loss, flag
        flat = np.concatenate([np.array([loss, flag], np.float32)] + [g.ravel() for g in gradients.values()])
        self.sum(flat)
        at = 2
        for gradient in gradients.values():
            gradient[...] = flat[at:at + gradient.size].reshape(gradient.shape) / np.float32(self.size)
            at += gradient.size
        return float(flat[0]) / self.size, flat[1] > 0
