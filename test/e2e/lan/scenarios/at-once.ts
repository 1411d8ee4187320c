import { join } from 'node:path'
import { type Content, makeBlob, makeClosure } from '../content.ts'
import { medianRace, type Race, race } from '../race.ts'
import { type LabOptions, openWorld, plant, type World } from '../world.ts'

const MIB = 1024 * 1024

/** How content of so many bytes is made. */
export type Make = (path: string, bytes: number) => Promise<Content>

/** What is fetched, by name. */
export const CONTENTS = { blob: makeBlob, closure: makeClosure } satisfies Record<string, Make>

/** A world whose seed holds content that was made for it. */
export interface PlantedWorld extends AsyncDisposable {
  readonly world: World
  readonly content: Content
  readonly storePath: string
}

/** Opens a world, makes content and has the seed take it in. */
export async function plantedWorld(
  options: LabOptions,
  make: Make,
  guests = 0,
): Promise<PlantedWorld> {
  await using stack = new AsyncDisposableStack()
  const world = stack.use(await openWorld(options, guests))
  const content = await make(join(world.scratch, 'content'), options.mib * MIB)
  const storePath = await plant(world, content, 'content')
  const owned = stack.move()
  return { world, content, storePath, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

/** All fetch at once, nothing goes wrong: what the other scenarios are compared with. */
export async function atOnce(
  options: LabOptions,
  make: Make,
): Promise<{ readonly content: Content; readonly race: Race }> {
  let content: Content | undefined
  const typical = await medianRace(options.runs, async () => {
    await using planted = await plantedWorld(options, make)
    content = planted.content
    return await race(planted.world, planted)
  })
  return { content: content!, race: typical }
}
