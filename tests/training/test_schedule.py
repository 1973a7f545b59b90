import pytest

from dcgan.presets import configure
from dcgan.training import schedule


def test_without_a_schedule_the_settings_are_constant():
    config = configure("dcgan", d_lr=4e-4)
    for images_seen in (0, 10**9):
        assert schedule.schedule_at(config, images_seen, None) == schedule.ScheduledSettings(
            2e-4, 4e-4, 0.999, 1.0, 20_000
        )


def test_the_burn_in_goes_from_its_start_to_the_settings():
    config = configure("r3gan", burn_in=1000, ema=500_000)
    start, half, end = (schedule.schedule_at(config, images_seen, None) for images_seen in (0, 500, 1000))
    assert (start.penalty_scale, start.beta2, start.half_life) == (10, 0.9, 0)
    assert half.penalty_scale == pytest.approx(5.5)
    assert half.beta2 == pytest.approx((0.9 + 0.99) / 2)
    assert half.half_life == pytest.approx(250_000)
    assert (end.penalty_scale, end.beta2, end.half_life) == (1, 0.99, 500_000)
    assert schedule.schedule_at(config, 10**9, None) == end


def test_the_learning_rates_rise_over_the_first_tenth_of_the_burn_in():
    config = configure("r3gan", burn_in=1000, lr=1.0, d_lr=2.0, lr_end=0.5)
    assert [schedule.schedule_at(config, images_seen, 1000).d_lr for images_seen in (0, 50)] == pytest.approx(
        [0, 0.99692], abs=1e-5
    )
    assert [schedule.schedule_at(config, images_seen, None).lr for images_seen in (0, 50, 100, 1000)] == pytest.approx(
        [0, 0.5, 1, 1]
    )


def test_a_beta_below_the_start_of_the_burn_in_is_not_raised():
    config = configure("r3gan", betas=(0.0, 0.5))
    assert schedule.schedule_at(config, 0, None).beta2 == schedule.schedule_at(config, 10**9, None).beta2 == 0.5


def test_the_learning_rates_decay_along_a_cosine():
    config = configure("dcgan", lr=1.0, d_lr=2.0, lr_end=0.2)
    assert [schedule.schedule_at(config, images_seen, 100).lr for images_seen in (0, 50, 100, 101)] == pytest.approx(
        [1, 0.6, 0.2, 0.2]
    )
    assert schedule.schedule_at(config, 25, 100).d_lr == pytest.approx(2 * (1 - 0.8 * 0.146447), abs=1e-5)
    assert schedule.schedule_at(config, 25, None).lr == 1


@pytest.mark.parametrize("duration", [0, 1, 7])
def test_a_ramp_rises_and_stays(duration: int):
    values = [schedule.cosine_ramp(images_seen, duration) for images_seen in range(10)]
    assert values == sorted(values)
    assert values[duration:] == [1.0] * (10 - duration)
    assert duration == 0 or values[0] == 0
