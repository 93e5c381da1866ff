import json
import re
import unittest

from unpacked import ROOT, settings


class Dockerfile(unittest.TestCase):
    def test_its_last_stage_says_what_the_images_config_says(self):
        text = (ROOT / 'Dockerfile').read_text().replace('\\\n', '')
        last = text[text.index('FROM scratch'):]
        config = settings()['config']
        self.assertEqual([json.loads(each) for each in re.findall('^CMD (.+)', last, re.M)], [config['Cmd']])
        self.assertEqual(re.findall('^ENV (.+)', last, re.M), config['Env'])
        self.assertEqual(dict(re.findall(r'(org\.\S+)="(.*?)"', last)), config['Labels'])
        self.assertNotRegex(last, '(?m)^(ENTRYPOINT|USER)')
        minimum = re.search('rust-version = "(.+)"', (ROOT / 'Cargo.toml').read_text())[1]
        self.assertIn('FROM rust:%s-bookworm AS build' % minimum, text)
