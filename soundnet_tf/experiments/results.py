"""Results as text, the same in all tables."""


def format_mean_std(mean: float, deviation: float | None) -> str:
    """In percent, with the standard deviation if there is one."""
    return f'{100 * mean:.1f}' + (f' ± {100 * deviation:.1f}' if deviation is not None else '')
