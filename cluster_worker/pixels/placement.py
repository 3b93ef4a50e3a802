"""Where the pixels of a result lie in the image that it was made from."""

from typing import NamedTuple, Self


class Placement(NamedTuple):
    """An affine map from coordinates of a result to those of its source.

    Coordinates count pixels from the upper left corner of the image: the first pixel reaches from 0
    to 1. ``x`` runs along the columns, ``y`` along the rows: ``source x = xx · x + xy · y + x0``.

    Attributes
    ----------
    xx, xy, x0, yx, yy, y0 : float
        Coefficients.
    """

    xx: float = 1.0
    xy: float = 0.0
    x0: float = 0.0
    yx: float = 0.0
    yy: float = 1.0
    y0: float = 0.0

    def of(self, x: float, y: float) -> tuple[float, float]:
        """Return the place in the source of a place in the result."""
        return self.xx * x + self.xy * y + self.x0, self.yx * x + self.yy * y + self.y0

    def then(self, step: "Placement") -> "Placement":
        """Return the map for a result that a further step was done on.

        Parameters
        ----------
        step : Placement
            From the further result to this one.
        """
        x0, y0 = self.of(step.x0, step.y0)
        return Placement(
            self.xx * step.xx + self.xy * step.yx,
            self.xx * step.xy + self.xy * step.yy,
            x0,
            self.yx * step.xx + self.yy * step.yx,
            self.yx * step.xy + self.yy * step.yy,
            y0,
        )

    def inverse(self) -> "Placement":
        """Return the map from the source to the result."""
        determinant = self.xx * self.yy - self.xy * self.yx
        xx, xy = self.yy / determinant, -self.xy / determinant
        yx, yy = -self.yx / determinant, self.xx / determinant
        x0, y0 = xx * self.x0 + xy * self.y0, yx * self.x0 + yy * self.y0
        return Placement(xx, xy, -x0, yx, yy, -y0)

    def between_centres(self) -> "Placement":
        """Return the same map for coordinates in which the first pixel's centre is 0."""
        x, y = self.of(0.5, 0.5)
        return self._replace(x0=x - 0.5, y0=y - 0.5)

    @classmethod
    def scaled(cls, before: tuple[int, int], after: tuple[int, int]) -> Self:
        """Return the map of an image resized from (rows, columns) `before` to `after`."""
        return cls(xx=before[1] / after[1], yy=before[0] / after[0])


class Density(NamedTuple):
    """The resolution of a result, relative to that of its source.

    Attributes
    ----------
    across, down : float
        Factors of the resolution along the columns and along the rows of the result.
    turned : bool
        Whether rows and columns are swapped.
    """

    across: float = 1.0
    down: float = 1.0
    turned: bool = False

    def of(self, resolution: tuple[float, float]) -> tuple[float, float]:
        """Return the result's pixels per inch along (columns, rows) for those of the source."""
        across, down = resolution[::-1] if self.turned else resolution
        return across * self.across, down * self.down
