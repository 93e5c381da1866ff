"""Keystone behind an identity provider: what Apache's mod_auth_openidc does, in sixty lines.

`serve.py PORT federation:application THREADS --config-file keystone.conf`. The provider is at /idp; its one client is
csi-client, and its one user kubernetes.
"""
import base64
import json
import urllib.parse
import uuid

from keystone.wsgi.api import application as keystone

BASIC = 'Basic ' + base64.b64encode(b'csi-client:clientsecret').decode()
GIVEN = set()


def answer(start, status, body):
    start(status, [('Content-Type', 'application/json')])
    return [json.dumps(body).encode()]


def token(environ, start):
    form = urllib.parse.parse_qs(environ['wsgi.input'].read(int(environ.get('CONTENT_LENGTH') or 0)).decode())
    if environ.get('HTTP_AUTHORIZATION') != BASIC:
        return answer(start, '401 Unauthorized', {'error': 'invalid_client', 'error_description': 'who is this?'})
    if 'openid' not in form.get('scope', [''])[0].split():
        return answer(start, '400 Bad Request', {'error': 'invalid_scope', 'error_description': 'no openid'})
    if not may_have(form):
        return answer(start, '400 Bad Request', {'error': 'invalid_grant', 'error_description': 'not for you'})
    given = uuid.uuid4().hex
    GIVEN.add(given)
    return answer(start, '200 OK', {'access_token': given, 'token_type': 'Bearer', 'expires_in': 300})


def may_have(form):
    if form.get('grant_type') == ['password']:
        return [form.get(key) for key in ('username', 'password')] == [['kubernetes'], ['usersecret']]
    return form.get('grant_type') == ['client_credentials']


def discovery(environ, start):
    provider = 'http://%s/idp' % environ['HTTP_HOST']
    return answer(start, '200 OK', {'issuer': provider, 'token_endpoint': provider + '/token'})


def application(environ, start):
    path = environ['PATH_INFO']
    if path == '/idp/token':
        return token(environ, start)
    if path == '/idp/.well-known/openid-configuration':
        return discovery(environ, start)
    if '/OS-FEDERATION/' in path and path.endswith('/auth'):
        if environ.get('HTTP_AUTHORIZATION', '').removeprefix('Bearer ') not in GIVEN:
            start('401 Unauthorized', [('WWW-Authenticate', 'Bearer error="invalid_token"')])
            return [b'']
        environ['REMOTE_USER'] = 'kubernetes'
    return keystone(environ, start)
