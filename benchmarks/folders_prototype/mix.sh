#!/bin/bash
# One training at low priority and on one thread: ./mix.sh NAME FLAGS... (the malloc settings keep freed memory: less time in the kernel)
mkdir -p out/$1
export OMP_NUM_THREADS=1 PYTHONPATH="$PACKAGE/src" MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=4294967296 MALLOC_TOP_PAD_=67108864
nice -n 10 python mix.py "$@" > out/$1/stdout.txt 2>&1
