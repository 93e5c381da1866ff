"""nova-compute with this directory's driver: Nova loads none from outside nova.virt."""
import os
import sys

import nova.cmd.compute     # first: it chooses Nova's concurrency when it is imported
import nova.virt

nova.virt.__path__.append(os.path.dirname(os.path.abspath(__file__)))
sys.exit(nova.cmd.compute.main())
