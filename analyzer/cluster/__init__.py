"""Archives: captures that many processes read, on one machine or many, with the answer of one process.

    files -> pieces -> map: columns of packets, by shard -> reduce: flows, shard by shard -> one report

A piece of a file is decoded by ``mapping``, its rows shared out by the key of their flow and written as
Parquet into a store (``store``). The rows of a shard go through the engine of a single process in the order
of the capture (``reducing``). What belongs to no single flow is told to the shards by ``series``, which knows
what all of them have: numbers of frames, the clock, fragments whose first one is in another piece
(``late``), connections that are there twice. ``hearing`` reads once more what some flows said. ``driving``
hands the tasks to those who do them: this process, or the workers of a cluster.
"""
