"""The OpenStack whose servers the nodes are. Its APIs are at the bridge's address, where pods reach them as they reach any cloud."""
import os
import subprocess

LAB = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), 'openstack')


def up(place):
    lab(place, 'up')


def down(place, wipe):
    lab(place, 'down', *(['--wipe'] if wipe else []))


def lab(place, *words):
    subprocess.run([os.path.join(LAB, words[0]), *words[1:]], check=True,
                   env=dict(os.environ, CINDER_CSI_LAB=place.cloud, LAB_ADDRESS=place.address))
