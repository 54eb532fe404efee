import { expect, test } from 'vitest';
import { problemsIn } from '../../lib/report/problems.ts';

/** `file:line[:column] message` of each problem, by its innermost spot, the others in brackets. */
const found = (text: string): string[] =>
  problemsIn(text.split('\n')).map(({ message, spots }) => {
    const [first = '', ...more] = spots.map(({ file, line, column }) =>
      [file, line, ...(column === undefined ? [] : [column])].join(':'),
    );
    return `${first} ${message}${more.length === 0 ? '' : ` [${more.join(' ')}]`}`;
  });

test('tsc, plain and pretty', () => {
  expect(
    found(`src/a b.ts(3,5): error TS2322: Type 'string' is not assignable to type 'number'.
src/b.tsx:10:1 - error TS1005: ';' expected.

10 const x
   ~~~~~
Found 2 errors in 2 files.`),
  ).toEqual([
    "src/a b.ts:3:5 TS2322: Type 'string' is not assignable to type 'number'.",
    "src/b.tsx:10:1 TS1005: ';' expected.",
  ]);
});

test('eslint: its own format and unix', () => {
  expect(
    found(`
/p/lib/a.ts
  3:5   error    'x' is defined but never used  @typescript-eslint/no-unused-vars
  4:1   warning  Unexpected console statement   no-console
  12:9  error    Parsing error: Unexpected token

/p/lib/b.ts
  1:1  error  Strings must use singlequote  quotes

✖ 4 problems (3 errors, 1 warning)
lib/c.ts:7:2: Missing semicolon. [Error/semi]
lib/c.ts:8:2: Unexpected console statement. [Warning/no-console]`),
  ).toEqual([
    "/p/lib/a.ts:3:5 'x' is defined but never used",
    '/p/lib/a.ts:12:9 Parsing error: Unexpected token',
    '/p/lib/b.ts:1:1 Strings must use singlequote',
    'lib/c.ts:7:2 Missing semicolon. [Error/semi]',
  ]);
});

test('vitest, and a stack of Node', () => {
  expect(
    found(` FAIL  test/a.test.ts > adds
AssertionError: expected 3 to be 4 // Object.is equality

- Expected
+ Received

 ❯ sum lib/sum.ts:2:9
 ❯ test/a.test.ts:5:20
      3|
      4| test('adds', () => {
Error [ERR_X]: no
    at open (file:///p/lib/b.ts:7:11)
    at node:internal/modules/esm:12:3
    at async /p/lib/c.ts:1:2`),
  ).toEqual([
    'lib/sum.ts:2:9 AssertionError: expected 3 to be 4 // Object.is equality [test/a.test.ts:5:20]',
    '/p/lib/b.ts:7:11 Error [ERR_X]: no',
  ]);
});

test('python: a traceback, a mistake of syntax, and pytest', () => {
  expect(
    found(`Traceback (most recent call last):
  File "/p/app/run.py", line 3, in <module>
    main()
  File "/usr/lib/python3.12/site.py", line 9, in main
    raise ImproperlyConfigured("no key")
django.core.exceptions.ImproperlyConfigured: no key
  File "app/bad.py", line 2
    x = = 1
        ^
SyntaxError: invalid syntax
_____ test_adds _____

    def test_adds():
>       assert add(1, 1) == 3
E       assert 2 == 3
E        +  where 2 = add(1, 1)

tests/test_add.py:5: AssertionError
=== short test summary info ===
FAILED tests/test_add.py::test_adds - assert 2 == 3`),
  ).toEqual([
    '/usr/lib/python3.12/site.py:9 django.core.exceptions.ImproperlyConfigured: no key [/p/app/run.py:3]',
    'app/bad.py:2 SyntaxError: invalid syntax',
    'tests/test_add.py:5 assert 2 == 3',
  ]);
});

test('gcc and its like: errors alone', () => {
  expect(
    found(`src/main.c:12:5: error: 'x' undeclared (first use in this function)
src/main.c:12:5: note: each undeclared identifier is reported only once
src/main.c:13:1: warning: unused variable 'y' [-Wunused]
src/a.h:1:10: fatal error: none.h: No such file or directory
app.py:3: error: Incompatible types  [assignment]
app.py:4:80: E501 line too long
./x.go:7:2: undefined: foo
make: *** [Makefile:3: all] Error 1
http://localhost:3000/: refused`),
  ).toEqual([
    "src/main.c:12:5 'x' undeclared (first use in this function)",
    'src/a.h:1:10 none.h: No such file or directory',
    'app.py:3 Incompatible types  [assignment]',
    'app.py:4:80 E501 line too long',
    './x.go:7:2 undefined: foo',
  ]);
});

test('lines that are too long, and much of it, take no time', () => {
  const startedMs = performance.now();
  expect(
    found(['a:1:'.repeat(100_000), ...Array.from({ length: 1_000 }, () => ' (1,'.repeat(240))].join('\n')),
  ).toEqual([]);
  expect(performance.now() - startedMs).toBeLessThan(5_000);
});
