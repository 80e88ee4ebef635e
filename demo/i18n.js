/** Every word the page says, in English and Japanese. */

/** @typedef {"en" | "ja"} Language */

const en = {
  "title": "V-Chat",
  "tagline": "Meet as your avatar. Walk up, wave, and say hello.",
  "skip": "Skip to the content",
  "language": "日本語",
  "language.label": "日本語で表示",
  "name": "Your name",
  "name.hint": "Others see this above your head.",
  "name.missing": "Please type a name first.",
  "avatar": "Your look",
  "rooms": "Live rooms",
  "rooms.search": "Search rooms",
  "rooms.none": "No room is open yet. Make the first one!",
  "rooms.noMatch": "No room has that in its name.",
  "rooms.loading": "Looking for rooms…",
  "rooms.count": "{occupancy} of {capacity} people",
  "rooms.locked": "locked",
  "rooms.refreshFailed": "The list of rooms could not be loaded. Trying again…",
  "join": "Join",
  "join.named": "Join {name}",
  "copyLink": "Copy link",
  "copyLink.named": "Copy the link to {name}",
  "copied": "Link copied. Send it to a friend!",
  "copied.invite": "Invitation link copied. It is good for 7 days.",
  "copyFailed": "Your browser did not let the link be copied. It is in the address bar.",
  "create": "Open a new room",
  "create.name": "Room name",
  "create.default": "{name}'s place",
  "create.private": "Private: only people you send the link to",
  "create.button": "Open the room",
  "invited": "You are on the way to “{name}”",
  "invited.unknown": "You are on the way to a room",
  "invited.cancel": "Look at all rooms instead",
  "stage": "The terrace. Walk with the arrow keys or W A S D, look around by dragging or with Q and E, press Enter to chat.",
  "stage.lobby": "The avatars you can choose from, standing on a terrace.",
  "people": "People",
  "people.you": "you",
  "role.owner": "host", "role.moderator": "moderator", "role.spectator": "watching",
  "people.muted": "muted",
  "people.away": "connection lost, coming back",
  "chat": "Chat",
  "chat.placeholder": "Say something",
  "chat.send": "Send",
  "chat.empty": "Nothing said yet. Be the first!",
  "chat.unread": "{count} new messages",
  "chat.pending": "sending…",
  "chat.failed": "not sent",
  "chat.joined": "{name} came in",
  "chat.left": "{name} left",
  "chat.lost": "{name} lost the connection",
  "chat.kicked": "{name} was removed",
  "chat.gap": "You were away; some messages may be missing here.",
  "emotes": "Gestures",
  "moods": "Faces",
  "emote.wave": "Wave", "emote.nod": "Nod", "emote.clap": "Clap", "emote.bow": "Bow", "emote.dance": "Dance", "emote.cheer": "Cheer",
  "mood.happy": "Happy", "mood.angry": "Angry", "mood.sad": "Sad", "mood.relaxed": "Relaxed", "mood.surprised": "Surprised",
  "leave": "Leave",
  "panel.open": "People and chat",
  "panel.close": "Close",
  "joystick": "Walk: drag to move",
  "help": "Walk: W A S D or arrows · Run: Shift · Look: drag, Q E · Chat: Enter",
  "meter": "Data: {down}/s in, {up}/s out, {hz} updates a second",
  "latency": "{ms} ms",
  "latency.label": "Delay to the room and back",
  "state.idle": "Not in a room",
  "state.connecting": "Connecting…",
  "state.joining": "Coming in…",
  "state.joined": "Connected",
  "state.migrating": "Connected, moving to another server",
  "state.reconnecting": "Connection lost. Coming back…",
  "state.left": "You left",
  "state.refused": "Not connected",
  "back": "Back to the rooms",
  "again": "Try again",
  "here": "Continue here",
  "ended.title": "You are not in the room",
  "refused.room-full": "This room is full. Try again when somebody has left, or choose another room.",
  "refused.room-locked": "This room is locked. Ask somebody inside to open it, then try again.",
  "refused.no-such-room": "There is no such room. The link may be old or mistyped; choose another room.",
  "refused.room-not-found": "There is no such room. The link may be old or mistyped; choose another room.",
  "refused.room-ended": "This room has ended. Choose another one, or open your own.",
  "refused.invite-required": "This room is by invitation. Ask its owner for one.",
  "refused.banned": "You may not come into this room. Choose another one.",
  "refused.kicked": "A moderator removed you from the room.",
  "refused.replaced": "You joined this room in another window, so this one stepped aside.",
  "refused.bad-token": "The room did not accept your pass. Go back to the rooms and come in again.",
  "refused.bad-origin": "The server does not know this page's address. Whoever runs it has to allow this origin.",
  "refused.protocol-error": "This page and the server did not understand each other. Reload the page.",
  "refused.too-large": "Something sent was too large. Reload the page and come in again.",
  "refused.other": "The room refused the connection ({code}). {detail}",
  "problem.network": "The server does not answer. Check your connection, then try again.",
  "problem.timeout": "The server took too long. Try again in a moment.",
  "problem.too-fast": "That was too fast. Wait a moment, then try again.",
  "problem.invalid-request": "Something needs to be changed: {detail}",
  "problem.unauthenticated": "Your sign-in has ended. Reload the page.",
  "problem.forbidden": "You may not do that.",
  "problem.internal": "Something broke on our side. Try again; if it stays, report {requestId}.",
  "problem.unavailable": "The server is not available right now. Try again in a moment.",
  "problem.muted": "A moderator muted you: others did not get this message.",
  "problem.outbox-full": "Too many messages are waiting. Wait until the connection is back.",
  "problem.storage": "This browser keeps no data for the page, so a reload will start anew.",
  "problem.other": "That did not work ({code}). {detail}",
  "problem.webgl": "This browser cannot draw in 3D (WebGL). You can still chat.",
  "problem.avatar": "An avatar could not be loaded: {detail}",
  "own": "Your own avatar",
  "own.button": "Use my .vrm",
  "own.drop": "Drop your .vrm here",
  "own.local": "Only you see this avatar. It stays in this browser; others see the look you chose.",
  "own.back": "Wear the chosen look again",
  "own.too-large": "The file is larger than 50 MB.",
  "own.not-glb": "This is not a VRM file: it does not begin like one.",
  "own.not-vrm": "This file holds no VRM avatar that could be read.",
  "licence": "Conditions of use",
  "licence.name": "Name", "licence.authors": "Authors", "licence.avatarUse": "Who may wear it", "licence.violent": "Violent scenes",
  "licence.sexual": "Sexual scenes", "licence.commercial": "Commercial use", "licence.credit": "Credit", "licence.modification": "Modification",
  "licence.licenceUrl": "Licence",
  "licence.notStated": "not stated", "licence.allowed": "allowed", "licence.notAllowed": "not allowed",
  "licence.onlyAuthor": "only the author", "licence.onlySeparatelyLicensedPerson": "only people with a licence of their own", "licence.everyone": "everyone",
  "licence.OnlyAuthor": "only the author", "licence.ExplicitlyLicensedPerson": "only people with a licence of their own", "licence.Everyone": "everyone",
  "licence.personalNonProfit": "personal, not for profit", "licence.personalProfit": "personal, for profit", "licence.corporation": "companies too",
  "licence.required": "must be given", "licence.unnecessary": "not needed", "licence.prohibited": "not allowed",
  "licence.allowModification": "allowed", "licence.allowModificationRedistribution": "allowed, passing it on too",
  "licence.Redistribution_Prohibited": "passing it on is not allowed",
  "close": "Close",
};

/** @type {typeof en} */
const ja = {
  "title": "V-Chat",
  "tagline": "アバターで会おう。歩いて、手を振って、話しかけよう。",
  "skip": "本文へ移動",
  "language": "English",
  "language.label": "Show in English",
  "name": "名前",
  "name.hint": "頭の上に表示されます。",
  "name.missing": "先に名前を入力してください。",
  "avatar": "アバター",
  "rooms": "開いているルーム",
  "rooms.search": "ルームを探す",
  "rooms.none": "まだルームがありません。最初のルームを作りましょう！",
  "rooms.noMatch": "その名前のルームはありません。",
  "rooms.loading": "ルームを探しています…",
  "rooms.count": "{capacity}人中{occupancy}人",
  "rooms.locked": "ロック中",
  "rooms.refreshFailed": "ルームの一覧を読み込めませんでした。もう一度試しています…",
  "join": "入る",
  "join.named": "{name}に入る",
  "copyLink": "リンクをコピー",
  "copyLink.named": "{name}のリンクをコピー",
  "copied": "リンクをコピーしました。友だちに送りましょう！",
  "copied.invite": "招待リンクをコピーしました。7日間有効です。",
  "copyFailed": "リンクをコピーできませんでした。アドレスバーのURLをお使いください。",
  "create": "新しいルームを作る",
  "create.name": "ルームの名前",
  "create.default": "{name}のルーム",
  "create.private": "非公開: リンクを送った人だけが入れる",
  "create.button": "ルームを作る",
  "invited": "「{name}」に向かっています",
  "invited.unknown": "ルームに向かっています",
  "invited.cancel": "ほかのルームを見る",
  "stage": "テラス。矢印キーかW A S Dで歩き、ドラッグかQ・Eで見回し、Enterでチャットできます。",
  "stage.lobby": "テラスに並ぶ、選べるアバターたち。",
  "people": "参加者",
  "people.you": "あなた",
  "role.owner": "ホスト", "role.moderator": "モデレーター", "role.spectator": "見学",
  "people.muted": "ミュート中",
  "people.away": "接続が切れ、復帰中",
  "chat": "チャット",
  "chat.placeholder": "メッセージを入力",
  "chat.send": "送信",
  "chat.empty": "まだ発言がありません。話しかけてみましょう！",
  "chat.unread": "新しいメッセージ{count}件",
  "chat.pending": "送信中…",
  "chat.failed": "送信できませんでした",
  "chat.joined": "{name}さんが入室しました",
  "chat.left": "{name}さんが退室しました",
  "chat.lost": "{name}さんの接続が切れました",
  "chat.kicked": "{name}さんが退室させられました",
  "chat.gap": "離れていた間のメッセージの一部が表示されていない可能性があります。",
  "emotes": "しぐさ",
  "moods": "表情",
  "emote.wave": "手を振る", "emote.nod": "うなずく", "emote.clap": "拍手", "emote.bow": "おじぎ", "emote.dance": "ダンス", "emote.cheer": "ばんざい",
  "mood.happy": "うれしい", "mood.angry": "おこる", "mood.sad": "かなしい", "mood.relaxed": "おだやか", "mood.surprised": "おどろき",
  "leave": "退室",
  "panel.open": "参加者とチャット",
  "panel.close": "閉じる",
  "joystick": "ドラッグして歩く",
  "help": "歩く: W A S D・矢印　走る: Shift　見回す: ドラッグ・Q E　チャット: Enter",
  "meter": "通信量: 受信 毎秒{down}、送信 毎秒{up}、更新 毎秒{hz}回",
  "latency": "{ms} ミリ秒",
  "latency.label": "ルームとの往復の遅れ",
  "state.idle": "ルームに入っていません",
  "state.connecting": "接続しています…",
  "state.joining": "入室しています…",
  "state.joined": "接続中",
  "state.migrating": "接続中（別のサーバーへ移動しています）",
  "state.reconnecting": "接続が切れました。復帰しています…",
  "state.left": "退室しました",
  "state.refused": "接続していません",
  "back": "ルーム一覧へ戻る",
  "again": "もう一度試す",
  "here": "ここで続ける",
  "ended.title": "ルームに入っていません",
  "refused.room-full": "満員です。誰かが退室してからもう一度試すか、ほかのルームを選んでください。",
  "refused.room-locked": "ロックされています。中の人に開けてもらってから、もう一度試してください。",
  "refused.no-such-room": "ルームが見つかりません。リンクが古いか間違っています。ほかのルームを選んでください。",
  "refused.room-not-found": "ルームが見つかりません。リンクが古いか間違っています。ほかのルームを選んでください。",
  "refused.room-ended": "このルームは終了しました。ほかのルームを選ぶか、新しく作ってください。",
  "refused.invite-required": "招待制のルームです。オーナーに招待してもらってください。",
  "refused.banned": "このルームには入れません。ほかのルームを選んでください。",
  "refused.kicked": "モデレーターがあなたを退室させました。",
  "refused.replaced": "別のウィンドウで入室したため、こちらは退室しました。",
  "refused.bad-token": "入室券が受け付けられませんでした。ルーム一覧に戻って入り直してください。",
  "refused.bad-origin": "サーバーがこのページのアドレスを許可していません。運営者が許可する必要があります。",
  "refused.protocol-error": "ページとサーバーの通信が合いませんでした。ページを再読み込みしてください。",
  "refused.too-large": "送信したデータが大きすぎました。ページを再読み込みして入り直してください。",
  "refused.other": "接続が拒否されました（{code}）。{detail}",
  "problem.network": "サーバーが応答しません。接続を確かめて、もう一度試してください。",
  "problem.timeout": "サーバーの応答に時間がかかりすぎました。少し待ってからもう一度試してください。",
  "problem.too-fast": "操作が速すぎます。少し待ってからもう一度試してください。",
  "problem.invalid-request": "入力を直してください: {detail}",
  "problem.unauthenticated": "サインインの期限が切れました。ページを再読み込みしてください。",
  "problem.forbidden": "その操作はできません。",
  "problem.internal": "こちらで問題が起きました。もう一度試してください。続く場合は {requestId} をお知らせください。",
  "problem.unavailable": "サーバーが今は利用できません。少し待ってからもう一度試してください。",
  "problem.muted": "モデレーターがあなたをミュートしました。このメッセージは届いていません。",
  "problem.outbox-full": "送信待ちのメッセージが多すぎます。接続が戻るまでお待ちください。",
  "problem.storage": "このブラウザはデータを保存できないため、再読み込みすると最初からになります。",
  "problem.other": "うまくいきませんでした（{code}）。{detail}",
  "problem.webgl": "このブラウザは3D（WebGL）を表示できません。チャットは使えます。",
  "problem.avatar": "アバターを読み込めませんでした: {detail}",
  "own": "自分のアバター",
  "own.button": "自分の.vrmを使う",
  "own.drop": ".vrmをここにドロップ",
  "own.local": "このアバターはあなたにだけ見えます。ファイルはこのブラウザの外に出ません。ほかの人には選んだアバターが見えます。",
  "own.back": "選んだアバターに戻す",
  "own.too-large": "ファイルが50 MBを超えています。",
  "own.not-glb": "VRMファイルではありません。",
  "own.not-vrm": "読み込めるVRMアバターが入っていません。",
  "licence": "利用条件",
  "licence.name": "名前", "licence.authors": "作者", "licence.avatarUse": "アバターとして使える人", "licence.violent": "暴力表現",
  "licence.sexual": "性的表現", "licence.commercial": "商用利用", "licence.credit": "クレジット表記", "licence.modification": "改変",
  "licence.licenceUrl": "ライセンス",
  "licence.notStated": "記載なし", "licence.allowed": "許可", "licence.notAllowed": "不許可",
  "licence.onlyAuthor": "作者のみ", "licence.onlySeparatelyLicensedPerson": "個別に許諾された人のみ", "licence.everyone": "全員",
  "licence.OnlyAuthor": "作者のみ", "licence.ExplicitlyLicensedPerson": "個別に許諾された人のみ", "licence.Everyone": "全員",
  "licence.personalNonProfit": "個人の非営利", "licence.personalProfit": "個人の営利", "licence.corporation": "法人も可",
  "licence.required": "必要", "licence.unnecessary": "不要", "licence.prohibited": "不許可",
  "licence.allowModification": "許可", "licence.allowModificationRedistribution": "許可（改変物の再配布も可）",
  "licence.Redistribution_Prohibited": "再配布禁止",
  "close": "閉じる",
};

export const STRINGS = { en, ja };
const KEPT = "vchat.language";

/** @type {Language} */
let current = "en";
/** @type {Set<() => void>} */
const listeners = new Set();

/** The language chosen before, else the browser's. @param {Storage} storage @param {readonly string[]} wanted `navigator.languages` @returns {Language} */
export function preferred(storage, wanted) {
  const kept = storage.getItem(KEPT);
  if (kept === "en" || kept === "ja") return kept;
  return /** @type {Language} */ (wanted.map((tag) => tag.slice(0, 2)).find((tag) => tag === "en" || tag === "ja") ?? "en");
}

export function language() { return current; }

/** @param {Language} to @param {Storage} [storage] where the choice is kept */
export function setLanguage(to, storage) {
  current = to;
  storage?.setItem(KEPT, to);
  document.documentElement.lang = to;
  translate(document);
  for (const listener of listeners) listener();
}

/** @param {() => void} listener called after the language has changed @returns {() => void} stops it */
export function onLanguage(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** @param {keyof typeof en | (string & {})} key @param {Record<string, string | number | null | undefined>} [values] for the {places} @returns {string} */
export function t(key, values = {}) {
  const text = /** @type {Record<string, string>} */ (STRINGS[current])[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? "")).trim();
}

/** Is there a string of this name? @param {string} key */
export const has = (key) => Object.hasOwn(en, key);

/** Fill in `data-i18n` (text) and `data-i18n-<attribute>`. @param {ParentNode} root */
export function translate(root) {
  for (const element of /** @type {NodeListOf<HTMLElement>} */ (root.querySelectorAll("[data-i18n]"))) element.textContent = t(element.dataset.i18n ?? "");
  for (const attribute of ["placeholder", "aria-label", "title"]) {
    for (const element of root.querySelectorAll(`[data-i18n-${attribute}]`)) {
      element.setAttribute(attribute, t(element.getAttribute(`data-i18n-${attribute}`) ?? ""));
    }
  }
}
