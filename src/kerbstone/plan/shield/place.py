"""Where ego's swept boxes are on a route and in the plane, against where others may be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.plan.shield.manoeuvre import SweptBoxes
from kerbstone.plan.shield.road import Road

STAYS = 0.3
"""Ego stays before a road user that it overlaps by this or more across the lane [m]."""


@dataclass(frozen=True, eq=False)
class Place:
    """Where ego is on one route during each step: bounds, infinite where they are not sure."""

    station: Float64[np.ndarray, "row step 2"]
    offset: Float64[np.ndarray, "row step 2"]
    near: Bool[np.ndarray, "row step"]
    turn: Float64[np.ndarray, "row step"]

    def whole(self, moves: Bool[np.ndarray, "row step"]) -> Float64[np.ndarray, "row 4"]:
        """Return least and greatest station and offset over all steps; empty if never near."""
        counts = self.near & moves
        return np.stack(
            [
                np.where(counts, self.station[..., 0], np.inf).min(axis=1),
                np.where(counts, self.station[..., 1], -np.inf).max(axis=1),
                np.where(counts, self.offset[..., 0], np.inf).min(axis=1),
                np.where(counts, self.offset[..., 1], -np.inf).max(axis=1),
            ],
            axis=1,
        )

    def find_spared(
        self,
        local: Int64[np.ndarray, " pair"],
        moves: Bool[np.ndarray, "pair step"],
        goes: Bool[np.ndarray, "pair step"],
        past: Float64[np.ndarray, "pair past"],
        right: Float64[np.ndarray, "pair step"],
        left: Float64[np.ndarray, "pair step"],
        swaying: float,
    ) -> Bool[np.ndarray, "pair step"]:
        """Tell in which steps one near behind ego need not be looked at.

        It has to brake while ego is before it, and if it comes in behind ego while ego keeps its
        course. Once it may have left ego's way on a side, ego must not move towards that side: it
        would make anew, at too short a gap, the follower that it had.

        Args:
            local: Row of each pair.
            moves: In which steps ego moves.
            goes: In which steps ego goes the route's way.
            past: Where ego's middle was across the route during the response time before; NaN
                where that is not known.
            right: Where the other's left side may be at the farthest right until the end of a step.
            left: Where its right side may be at the farthest left.
            swaying: Moving aside by so much within the response time is no intent [m].
        """
        low, high = self.offset[local, :, 0], self.offset[local, :, 1]
        known = goes & self.near[local] & np.isfinite(low) & np.isfinite(high)
        # What comes after the first step that is not known is no relief, so any value will do.
        low, high = np.where(known, low, 0.0), np.where(known, high, 0.0)
        track = np.concatenate([past, (low + high) / 2.0, (low + high)[:, -1:] / 2.0], axis=1)
        count = moves.shape[1]
        lowest = highest = track[:, :count]
        to_left, to_right = np.zeros_like(low), np.zeros_like(low)
        # From the response time before a step begins until after its end.
        for first in range(past.shape[1] + 2):
            here = track[:, first : first + count]
            lowest, highest = np.minimum(lowest, here), np.maximum(highest, here)
            to_left = np.maximum(to_left, here - lowest)
            to_right = np.maximum(to_right, highest - here)
        parted = np.logical_or.accumulate(right < low + STAYS, axis=1)
        # Written so that what is not known, NaN, is no relief.
        bad = parted & ~(to_right <= swaying)
        parted = np.logical_or.accumulate(left > high - STAYS, axis=1)
        bad |= parted & ~(to_left <= swaying)
        bad = np.logical_or.accumulate((bad | ~known) & moves, axis=1)
        return ~moves | ~bad

    def goes_along(
        self, local: Int64[np.ndarray, " pair"], *, narrow: float, farthest: float
    ) -> Bool[np.ndarray, "pair step"]:
        """Tell in which steps ego surely goes the route's way, so that what is aside of it is clear.

        Args:
            local: Row of each pair.
            narrow: Ego is turned by less against the route [rad].
            farthest: No part of it is farther beside the route [m].
        """
        offset = self.offset[local]
        return (np.abs(self.turn[local]) < narrow) & (
            np.maximum(-offset[..., 0], offset[..., 1]) <= farthest
        )

    def find_steady(
        self,
        local: Int64[np.ndarray, " pair"],
        moves: Bool[np.ndarray, "pair step"],
        tight: Float64[np.ndarray, "pair 2"],
        swaying: float,
    ) -> Bool[np.ndarray, " pair"]:
        """Tell where ego keeps its course, as seen by one beside it: it does not come nearer.

        Args:
            local: Row of each pair.
            moves: In which steps ego moves.
            tight: Where the other is across the route.
            swaying: Coming nearer by so much is no intent [m].
        """
        low, high = self.offset[local, :, 0], self.offset[local, :, 1]
        bounded = np.isfinite(low) & np.isfinite(high)
        known = (bounded & self.near[local]) | ~moves
        known[:, 0] &= bounded[:, 0]
        low, high = np.where(bounded, low, 0.0), np.where(bounded, high, 0.0)
        left = np.where(moves, high, -np.inf).max(axis=1) - high[:, 0]
        right = low[:, 0] - np.where(moves, low, np.inf).min(axis=1)
        is_left = tight.sum(axis=1) > low[:, 0] + high[:, 0]
        nearer = np.where(is_left, left, right)
        return (nearer <= swaying) & known.all(axis=1)

    def room(
        self,
        local: Int64[np.ndarray, " pair"],
        least: Float64[np.ndarray, "pair step"],
        most: Float64[np.ndarray, "pair step"],
        low: Float64[np.ndarray, "pair step"],
        high: Float64[np.ndarray, "pair step"],
    ) -> Float64[np.ndarray, "pair step"]:
        """Return how far ego is from intervals of stations and offsets, in the farther of both."""
        station, offset = self.station[local], self.offset[local]
        room = apart(station[..., 0], station[..., 1], least, most)
        np.maximum(room, apart(offset[..., 0], offset[..., 1], low, high), out=room)
        room[~self.near[local]] = np.inf
        return room


def locate(boxes: SweptBoxes, rows: Int64[np.ndarray, " row"], road: Road, route: int) -> Place:
    """Return where ego is on a route in some of the episodes."""
    extent = road.routes[route].path.bound_boxes(
        boxes.centre[rows], boxes.direction[rows], boxes.half[rows]
    )
    unsure = ~extent.sure & extent.near
    if unsure.any():
        extent.station[unsure] = extent.offset[unsure] = (-np.inf, np.inf)
    return Place(extent.station, extent.offset, extent.near, extent.turn)


def plane_room(
    boxes: SweptBoxes,
    row: Int64[np.ndarray, " pair"],
    centre: Float64[np.ndarray, "pair #step 2"],
    radius: Float64[np.ndarray, "pair #step"],
) -> Float64[np.ndarray, "pair step"]:
    """Return the distance of ego's boxes from discs [m], below zero where they overlap."""
    away, direction = centre - boxes.centre[row], boxes.direction[row]
    half = boxes.half[row]
    along = np.abs(away[..., 0] * direction[..., 0] + away[..., 1] * direction[..., 1])
    aside = np.abs(away[..., 1] * direction[..., 0] - away[..., 0] * direction[..., 1])
    along, aside = np.maximum(along - half[..., 0], 0.0), np.maximum(aside - half[..., 1], 0.0)
    return np.hypot(along, aside) - radius


def apart(
    low: Float64[np.ndarray, "pair step"],
    high: Float64[np.ndarray, "pair step"],
    least: Float64[np.ndarray, "pair step"],
    most: Float64[np.ndarray, "pair step"],
) -> Float64[np.ndarray, "pair step"]:
    """Return the gap between intervals, below zero where they overlap."""
    return np.maximum(low - most, least - high)
