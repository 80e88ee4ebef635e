/** Somebody joins the call, speaks, is silenced, leaves; and hears in words what did not work. */

import assert from "node:assert/strict";
import { test } from "node:test";
import * as real from "livekit-client";
import { STRINGS } from "../i18n.js";
import { liveKit } from "../livekit.js";
import { Mouth } from "../mouth.js";
import { Voice } from "../voice.js";
import { FakeServer } from "./fake-livekit.js";

const { DisconnectReason, RoomEvent } = real;

/** @param {string} sub */
const tokenOf = (sub) => `x.${Buffer.from(JSON.stringify({ sub, video: { roomJoin: true } })).toString("base64url")}.x`;

/** @param {FakeServer} server @param {string} [name] @param {Partial<import("../voice.js").VoiceOptions>} [more] */
function person(server, name = "aya", more = {}) {
  /** @type {string[]} */
  const faults = [];
  const told = { changes: 0, silent: 0 };
  const voice = new Voice({
    connect: liveKit(server.load),
    getToken: async () => ({ url: "wss://voice.test", token: tokenOf(name) }),
    onChange: () => { told.changes++; },
    onSilent: () => { told.silent++; },
    onFault: (error) => faults.push(/** @type {any} */ (error).code),
    ...more,
  });
  return { voice, faults, told };
}

test("the first press joins and speaks, the next ones switch the microphone", async () => {
  const { voice, faults } = person(new FakeServer(real));
  const states = [voice.state];
  const joining = voice.press();
  states.push(voice.state);
  await joining;
  states.push(voice.state);
  await voice.press();
  states.push(voice.state);
  await voice.press();
  states.push(voice.state);
  await voice.leave();
  states.push(voice.state);
  assert.deepEqual(states, ["off", "joining", "speaking", "listening", "speaking", "off"]);
  assert.deepEqual(faults, []);
});

test("LiveKit's library is not loaded before somebody speaks", async () => {
  const server = new FakeServer(real);
  const { voice } = person(server);
  voice.permit(false);
  await voice.leave();
  assert.equal(server.loads, 0);
  await voice.press();
  assert.equal(server.loads, 1);
});

test("whoever is in the call sees how loud everyone is, and is told when it changes", async () => {
  const server = new FakeServer(real);
  const [aya, ben] = [person(server, "aya"), person(server, "ben")];
  await aya.voice.press();
  await ben.voice.press();
  const before = ben.told.changes;
  server.speak("aya", 0.3);
  assert.ok(ben.told.changes > before);
  assert.deepEqual([aya.voice.level("aya"), ben.voice.level("aya"), ben.voice.level("ben"), ben.voice.level("nobody")], [0.3, 0.3, 0, 0]);
  server.speak("aya", 0);
  assert.equal(ben.voice.level("aya"), 0);
  await ben.voice.leave();
  server.speak("aya", 0.3);
  assert.equal(ben.voice.level("aya"), 0);
});

test("a moderator's mute closes the microphone at once, and its end does not open it", async () => {
  const { voice, faults } = person(new FakeServer(real));
  await voice.press();
  voice.permit(false);
  await new Promise(setImmediate);
  assert.deepEqual([voice.state, voice.may], ["listening", false]);
  await voice.press();
  assert.equal(voice.state, "listening");
  voice.permit(true);
  assert.equal(voice.state, "listening");
  await voice.press();
  assert.equal(voice.state, "speaking");
  assert.deepEqual(faults, []);
});

test("who may not speak may listen", async () => {
  const { voice, faults } = person(new FakeServer(real));
  voice.permit(false);
  await voice.press();
  assert.equal(voice.state, "listening");
  assert.deepEqual(faults, []);
});

test("who is muted while the browser asks for the microphone is not heard", async () => {
  const server = new FakeServer(real);
  server.asks = true;
  const { voice } = person(server);
  const pressing = voice.press();
  while (!server.answer) await new Promise(setImmediate);
  voice.permit(false);
  server.answer();
  await pressing;
  assert.equal(voice.state, "listening");
});

for (const [name, code] of [["NotAllowedError", "voice-refused"], ["NotFoundError", "voice-missing"], ["NotReadableError", "voice-busy"], ["AbortError", "voice-microphone"]]) {
  test(`a microphone that fails with ${name} leaves one listening, and says why`, async () => {
    const server = new FakeServer(real);
    server.microphone = name;
    const { voice, faults } = person(server);
    await voice.press();
    assert.equal(voice.state, "listening");
    assert.deepEqual(faults, [code]);
    server.microphone = "";
    await voice.press();
    assert.equal(voice.state, "speaking");
  });
}

for (const trouble of ["away", "hangs"]) {
  test(`a voice server that is ${trouble} is told in time, and can be tried again`, async () => {
    const server = new FakeServer(real);
    server.trouble = trouble;
    const { voice, faults } = person(server, "aya", { deadlineMs: 20 });
    await voice.press();
    assert.equal(voice.state, "off");
    assert.deepEqual(faults, ["voice-unreachable"]);
    assert.ok(server.rooms.every(({ state }) => state !== "connected"));
    server.trouble = "";
    await voice.press();
    assert.equal(voice.state, "speaking");
  });
}

test("a refusal of the token is passed on as it is", async () => {
  const refusal = Object.assign(new Error("no"), { code: "banned" });
  const { voice, faults } = person(new FakeServer(real), "aya", { getToken: () => Promise.reject(refusal) });
  await voice.press();
  assert.equal(voice.state, "off");
  assert.deepEqual(faults, ["banned"]);
});

test("leaving while joining stops the joining, without a word", async () => {
  const server = new FakeServer(real);
  server.trouble = "hangs";
  const { voice, faults } = person(server);
  const pressing = voice.press();
  while (!server.rooms.length) await new Promise(setImmediate);
  await voice.leave();
  await pressing;
  assert.equal(voice.state, "off");
  assert.deepEqual(faults, []);
  assert.equal(server.rooms[0].state, "disconnected");
});

for (const [reason, code] of /** @type {[keyof typeof DisconnectReason, string][]} */ ([
  ["PARTICIPANT_REMOVED", "voice-removed"], ["ROOM_DELETED", "voice-removed"], ["DUPLICATE_IDENTITY", "voice-elsewhere"], ["SIGNAL_CLOSE", "voice-lost"],
])) {
  test(`a call that ends by ${reason} is over, and says so once`, async () => {
    const server = new FakeServer(real);
    const { voice, faults } = person(server);
    await voice.press();
    server.dismiss("aya", /** @type {any} */ (DisconnectReason[reason]));
    assert.equal(voice.state, "off");
    assert.deepEqual(faults, [code]);
    await voice.press();
    assert.equal(voice.state, "speaking");
  });
}

test("a browser that plays nothing is helped by the person's next touch", async () => {
  const server = new FakeServer(real);
  const { voice, told } = person(server);
  await voice.press();
  const [room] = server.rooms;
  room.canPlaybackAudio = false;
  room.emit(RoomEvent.AudioPlaybackStatusChanged, false);
  assert.equal(told.silent, 1);
  await voice.listen();
  assert.equal(room.started, 1);
});

test("every trouble has words in both languages", () => {
  for (const trouble of ["unreachable", "refused", "missing", "busy", "microphone", "removed", "elsewhere", "lost"]) {
    for (const words of Object.values(STRINGS)) assert.ok(`problem.voice-${trouble}` in words, trouble);
  }
});

test("the fake has what the library has", () => {
  const room = /** @type {any} */ (new real.Room());
  for (const method of ["connect", "disconnect", "startAudio", "on"]) assert.equal(typeof room[method], "function", method);
  assert.equal(room.remoteParticipants.constructor, Map);
  assert.deepEqual([room.state, room.canPlaybackAudio, room.localParticipant.isMicrophoneEnabled, room.localParticipant.audioLevel, room.localParticipant.isSpeaking],
    ["disconnected", true, false, 0, false]);
  assert.equal(typeof room.localParticipant.setMicrophoneEnabled, "function");
});

test("a mouth opens with the voice, moves, and closes after it", () => {
  const mouth = new Mouth();
  assert.equal(mouth.update(1 / 60, 0), 0);
  const loud = Array.from({ length: 60 }, () => mouth.update(1 / 60, 0.2));
  assert.ok(Math.max(...loud) > 0.35 && Math.max(...loud) <= 1);
  assert.ok(Math.min(...loud.slice(20)) < 0.6 * Math.max(...loud));
  const quiet = new Mouth();
  const soft = Array.from({ length: 60 }, () => quiet.update(1 / 60, 0.02));
  assert.ok(Math.max(...soft) < Math.max(...loud));
  for (let i = 0; i < 60; i++) mouth.update(1 / 60, 0);
  assert.equal(mouth.update(1 / 60, 0), 0);
});
