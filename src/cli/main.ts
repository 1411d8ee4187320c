#!/usr/bin/env node
import { tuneHeap } from './tune-heap.ts'

tuneHeap()
// Loaded only now: the process may just have been replaced.
const { runProgram } = await import('./program.ts')
await runProgram(process.argv)
