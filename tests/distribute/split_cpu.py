"""Splits the CPU in three, then tries it in two: `python split_cpu.py`."""

from simclr_keras.distribute import strategy

choice = strategy.choose(logical_cpus=3)
print(choice, choice.strategy.num_replicas_in_sync)
try:
    strategy.choose(logical_cpus=2)
except ValueError as error:
    print(error)
