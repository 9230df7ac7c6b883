"""docs/openapi.yaml says what the routes and tables say, and nothing else."""
import os
import re
import subprocess

import yaml

HTTP = {'get', 'post', 'patch', 'put', 'delete'}
TYPES = {'string': 'text', 'integer': 'integer', 'boolean': 'boolean', 'array': 'array',
         'object': 'object'}


def spec():
    with open(os.environ['OPENAPI'], encoding='utf-8') as f:
        return yaml.safe_load(f)


def tables():
    routes, queries, fields = {}, {}, {}
    lines = subprocess.run([os.environ['PRINT_TABLES']], check=True, capture_output=True,
                           text=True).stdout.splitlines()
    for line in lines:
        kind, *w = line.split()
        if kind == 'route':
            routes[(w[0].lower(), w[1])] = w[2]
        elif kind == 'query':
            queries.setdefault((w[0].lower(), w[1]), {})[w[2]] = w[3]
        else:
            fields.setdefault(w[0], {})[w[1]] = (w[2], w[3] == '1', w[4])
    return routes, queries, fields


def resolve(doc, schema):
    while '$ref' in schema:
        node = doc
        for part in schema['$ref'].removeprefix('#/').split('/'):
            node = node[part]
        schema = node
    return schema


def operations(doc):
    return {(m, p): op for p, item in doc['paths'].items() for m, op in item.items() if m in HTTP}


def test_every_route_is_described_and_nothing_else():
    routes, _, _ = tables()
    assert set(routes) == set(operations(spec()))


def test_bodies_are_the_tables():
    doc = spec()
    routes, _, _ = tables()
    for key, op in operations(doc).items():
        body = op.get('requestBody')
        ref = body['content']['application/json']['schema']['$ref'] if body else '/-'
        assert ref.rsplit('/', 1)[1] == routes[key], key


def test_fields_are_the_tables():
    doc = spec()
    _, _, fields = tables()
    assert fields
    for name, table in fields.items():
        schema = doc['components']['schemas'][name]
        assert schema['additionalProperties'] is False
        assert set(schema['properties']) == set(table), name
        assert set(schema.get('required', [])) == {f for f, t in table.items() if t[1]}, name
        for field, (kind, _, inner) in table.items():
            prop = schema['properties'][field]
            if kind == 'items':
                assert prop['type'] == 'array', (name, field)
                assert prop['items']['$ref'].endswith('/' + inner), (name, field)
                continue
            assert TYPES[resolve(doc, prop)['type']] == kind, (name, field)
            if kind == 'object':
                assert prop['$ref'].endswith('/' + inner)


def test_parameters_are_the_tables():
    doc = spec()
    routes, queries, _ = tables()
    for key, op in operations(doc).items():
        params = op.get('parameters', [])
        described = {p['name']: TYPES[p['schema']['type']] for p in params if p['in'] == 'query'}
        assert described == queries.get(key, {}), key
        path = [p['name'] for p in params if p['in'] == 'path']
        assert path == re.findall(r'{(\w+)}', key[1]), key
    assert routes


def test_every_schema_is_used():
    text = open(os.environ['OPENAPI'], encoding='utf-8').read()
    for name in spec()['components']['schemas']:
        assert f"/schemas/{name}'" in text, name
