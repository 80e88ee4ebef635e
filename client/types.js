/**
 * The shapes that cross the wire and the ports a test may replace; only types, nothing runs here.
 *
 * Times on the socket are milliseconds since the epoch; `expiresIn` is in seconds.
 *
 * @typedef {{source: string, id: string, title?: string, author?: string, conditions?: Record<string, string>, shared?: boolean}} Avatar
 *   `title`, `author`, `conditions` and `shared` come with VRoid Hub's models; they have to be shown.
 * @typedef {{source: "preset" | "vroid" | "url" | (string & {}), id: string}} AvatarChoice
 * @typedef {{id: string, title: string, author: string, authorId: string, thumbnail: string | null, downloadable: boolean, vrm: string,
 *   conditions: Record<string, string>}} HubModel
 * @typedef {{id: string, name: string, avatar: Avatar | null, identities?: {provider: string, subject: string}[]}} User
 * @typedef {"owner" | "moderator" | "member" | "spectator"} Role
 * @typedef {{seat: number, userId: string, name: string, role: Role, avatar: Avatar | null, muted: boolean, away: boolean,
 *   voice: boolean, relay: string}} Member
 * @typedef {{id: string, name: string, description: string | null, visibility: "public" | "private", capacity: number,
 *   ownerId: string, status: "open" | "ended", locked: boolean, slowModeS: number, uses: string[], occupancy: number, createdAt: string,
 *   endedAt: string | null, expiresAt: string | null}} Room
 * @typedef {{accessToken: string, expiresIn: number, refreshToken: string, user: User}} Session
 * @typedef {{ticket: string, url: string, expiresIn?: number}} Ticket
 * @typedef {(wish: {avoid: string[]}) => Promise<Ticket>} GetTicket
 *   `avoid`: urls of earlier tickets where nobody answered, at most 8; another relay would be welcome.
 *
 * @typedef {{offset: number, time: number, replayed: boolean}} EventPlace
 *   `replayed`: it happened while this client was away; the member list of the welcome already shows it.
 * @typedef {EventPlace & {type: "joined"} & Member} JoinedEvent
 * @typedef {EventPlace & {type: "left", seat: number, userId: string, reason: "left" | "lost" | "kicked" | "banned" | "idle"}} LeftEvent
 * @typedef {EventPlace & {type: "chat", id: string, seat: number, userId: string, name: string, text: string}} ChatEvent
 * @typedef {Partial<EventPlace> & {type: "signal", id: string, seat: number, userId: string, name: string, signal: string, data: unknown}} SignalEvent
 *   An ephemeral signal has no `offset`.
 * @typedef {EventPlace & {type: "member", seat: number, userId: string} & Partial<Member>} MemberEvent
 * @typedef {EventPlace & {type: "room", room?: Room} & Partial<Room>} RoomEvent
 * @typedef {EventPlace & {type: "ended", reason: string}} EndedEvent
 * @typedef {JoinedEvent | LeftEvent | ChatEvent | SignalEvent | MemberEvent | RoomEvent | EndedEvent} RoomLogEvent
 *
 * @typedef {{chat?: {burst: number, perS: number}, signal?: {burst: number, perS: number}, poseHz?: number,
 *   frameBytes?: number, textLength?: number}} Limits
 * @typedef {{type: "welcome", session: string, seat: number, user: User, role: Role, room: Room, members: Member[],
 *   epoch: string, offset: number, head: number, recovered: boolean, history: ChatEvent[], resume: string, tickHz: number,
 *   pingMs: number, serverTime: number, limits?: Limits, expiresIn?: number, version?: number,
 *   doze?: {hiddenS: number, idleS: number, awayS: number}}} Welcome
 *
 * @typedef {"idle" | "connecting" | "joining" | "joined" | "migrating" | "reconnecting" | "dozing" | "left" | "refused"} State
 * @typedef {{code: number, name: string, detail: string, action: import("./close-codes.js").Action}} Reason
 *   Why a connection ended: the close code, its stable name, what the relay said, and what the client does about it.
 *
 * @typedef {{
 *   state: {state: State, previous: State, reason?: Reason, retryInMs?: number},
 *   welcome: Welcome,
 *   recovered: {recovered: boolean},
 *   joined: JoinedEvent,
 *   left: LeftEvent,
 *   chat: ChatEvent,
 *   signal: SignalEvent,
 *   member: MemberEvent,
 *   room: RoomEvent,
 *   ended: EndedEvent,
 *   pose: import("./pose-receiver.js").SeatPose,
 *   tick: {tick: number, serverTime: number, arrivedAt: number},
 *   latency: import("./latency.js").Latency,
 *   queue: {pending: number},
 *   error: import("./room-error.js").RoomError,
 * }} RoomEvents what `on(type, listener)` brings
 *
 * @typedef {{now(): number, setTimeout(fn: () => void, ms: number): unknown, clearTimeout(timer: unknown): void}} Clock
 * @typedef {{getItem(key: string): string | null, setItem(key: string, value: string): void, removeItem(key: string): void}} KeyValueStore
 *   What `localStorage` and `sessionStorage` are.
 * @typedef {{readonly readyState: number, readonly bufferedAmount: number, binaryType: string,
 *   onopen: ((event: any) => void) | null, onmessage: ((event: any) => void) | null,
 *   onclose: ((event: any) => void) | null, onerror: ((event: any) => void) | null,
 *   send(data: any): void, close(code?: number, reason?: string): void}} Socket
 * @typedef {{new (url: string, protocols?: string | string[]): Socket, backedUpBytes?: number}} SocketClass
 *   `backedUpBytes`: more unsent than this, and a pose would only come late.
 */

export {};
