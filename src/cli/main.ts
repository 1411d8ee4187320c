#!/usr/bin/env node
import { keepCompiledCode } from './compile-cache.ts'
import { tuneHeap } from './tune-heap.ts'

tuneHeap()
keepCompiledCode()
// Loaded only now: the process may just have been replaced.
const { runProgram } = await import('./program.ts')
await runProgram(process.argv)
