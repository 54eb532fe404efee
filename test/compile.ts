import { dirname, join } from 'node:path';
import ts from 'typescript';

const ROOT = join(import.meta.dirname, '..');

/** One of the repository's tsconfig files, read as tsc reads it. */
export function readConfig(file: string): ts.ParsedCommandLine {
  const path = join(ROOT, file);
  const { config, error } = ts.readConfigFile(path, (name) => ts.sys.readFile(name)) as {
    config: unknown;
    error?: ts.Diagnostic;
  };
  if (error) throw new Error(ts.flattenDiagnosticMessageText(error.messageText, '\n'));
  return ts.parseJsonConfigFileContent(config, ts.sys, dirname(path));
}

/** What the compiler says about texts at paths where no file need be, under the options of a tsconfig: `TS2304: …` by path. */
export function complaints(
  config: string,
  texts: { readonly [path: string]: string },
): { readonly [path: string]: readonly string[] } {
  const { options } = readConfig(config);
  const given = new Map(Object.entries(texts).map(([path, text]) => [join(ROOT, path), text]));
  const host = ts.createCompilerHost(options);
  const fileExists = host.fileExists.bind(host);
  const readFile = host.readFile.bind(host);
  host.fileExists = (path) => given.has(path) || fileExists(path);
  host.readFile = (path) => given.get(path) ?? readFile(path);
  const program = ts.createProgram([...given.keys()], options, host);
  const said = (path: string): readonly string[] => {
    const source = program.getSourceFile(join(ROOT, path));
    if (!source) throw new Error(`${path} was not compiled`);
    const all = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
    return all.map(
      ({ code, messageText }) => `TS${String(code)}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`,
    );
  };
  return Object.fromEntries(Object.keys(texts).map((path) => [path, said(path)]));
}
