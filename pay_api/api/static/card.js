// The checkout page: checks a card, encrypts it for the payment provider, follows the payment.
// Card data never leaves this file unencrypted: no field of the form has a name, the form is never posted.
(() => {
  "use strict";

  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const config = read("config"), faces = read("faces"), texts = config.texts;
  const at = (id) => document.getElementById(id);
  const form = at("form"), pay = at("pay");
  const inputs = { number: at("number"), expiry: at("expiry"), cvv: at("cvv"), name: at("name") };
  const FINAL = ["succeeded", "authorized", "failed", "cancelled", "partially_refunded", "refunded"];
  let submitting = false, shownAt = "", following = null, leaving = false;

  // --- the card -----------------------------------------------------------------------------------
  const digits = (text) => text.replace(/\D/g, "");
  const isAmex = (number) => /^3[47]/.test(number);

  function passesLuhn(number) {
    let sum = 0;
    for (let place = 0; place < number.length; place++) {
      let digit = Number(number[number.length - 1 - place]);
      if (place % 2) digit = digit * 2 > 9 ? digit * 2 - 9 : digit * 2;
      sum += digit;
    }
    return sum % 10 === 0;
  }

  function readExpiry(text) {
    const parts = text.split("/").map(digits);
    const plain = digits(text);
    const month = parts.length === 2 ? parts[0] : plain.slice(0, 2);
    const year = parts.length === 2 ? parts[1] : plain.slice(2);
    if (!month || ![2, 4].includes(year.length)) return null;
    return { month: Number(month), year: Number(year.slice(-2)) };
  }

  const checks = {
    number() {
      const number = digits(inputs.number.value), length = isAmex(number) ? 15 : 16;
      if (!number) return texts.number_missing;
      if (number.length < length) return texts.number_short;
      return number.length > 19 || !passesLuhn(number) ? texts.number_wrong : "";
    },
    expiry() {
      const expiry = readExpiry(inputs.expiry.value);
      if (!expiry) return texts.expiry_missing;
      if (expiry.month < 1 || expiry.month > 12) return texts.expiry_wrong;
      const now = new Date(), last = (2000 + expiry.year) * 12 + expiry.month - 1;
      return last < now.getFullYear() * 12 + now.getMonth() ? texts.expiry_past : "";
    },
    cvv() {
      const cvv = inputs.cvv.value.trim(), count = isAmex(digits(inputs.number.value)) ? 4 : 3;
      if (!cvv) return texts.cvv_missing;
      return /^\d+$/.test(cvv) && cvv.length === count ? "" : texts.cvv_wrong.replace("{count}", count);
    },
    name() {
      return /^[A-Za-z .'\-]*$/.test(inputs.name.value.trim()) ? "" : texts.name_wrong;
    },
  };

  function check(field) {
    const problem = checks[field]();
    at(`${field}-error`).textContent = problem;
    if (problem) inputs[field].setAttribute("aria-invalid", "true");
    else inputs[field].removeAttribute("aria-invalid");
    return !problem;
  }

  // --- the cryptogram: RSA, PKCS #1 v1.5, which WebCrypto does not have ----------------------------
  function power(base, exponent, modulus) {
    let result = 1n;
    for (base %= modulus; exponent > 0n; exponent >>= 1n) {
      if (exponent & 1n) result = (result * base) % modulus;
      base = (base * base) % modulus;
    }
    return result;
  }

  function encrypt(text, key) {
    const size = key.modulus.length / 2, message = new TextEncoder().encode(text);
    const block = new Uint8Array(size);
    crypto.getRandomValues(block);
    for (let place = 2; place < size - message.length - 1; place++) {
      while (block[place] === 0) crypto.getRandomValues(block.subarray(place, place + 1));
    }
    block[0] = 0;
    block[1] = 2;
    block[size - message.length - 1] = 0;
    block.set(message, size - message.length);
    const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    const sealed = power(BigInt(`0x${hex(block)}`), BigInt(`0x${key.exponent}`), BigInt(`0x${key.modulus}`));
    const bytes = sealed.toString(16).padStart(size * 2, "0").match(/../g).map((pair) => parseInt(pair, 16));
    return btoa(String.fromCharCode(...bytes));
  }

  function makeCryptogram(key) {
    const number = digits(inputs.number.value), expiry = readExpiry(inputs.expiry.value);
    const year = String(expiry.year).padStart(2, "0"), month = String(expiry.month).padStart(2, "0");
    const value = encrypt(`${number}@${year}${month}@${inputs.cvv.value.trim()}@${key.terminal}`, key);
    const info = {
      FirstSixDigits: number.slice(0, 6), LastFourDigits: number.slice(-4),
      ExpDateYear: year, ExpDateMonth: month,
    };
    const packet = {
      Type: "CloudCard", BrowserInfoBase64: "", CardInfo: info, KeyVersion: key.version, Format: 1, Value: value,
    };
    return btoa(JSON.stringify(packet));
  }

  // --- what the page shows -------------------------------------------------------------------------
  function show(mood, title, lead) {
    at("page").className = mood;
    if (at("title").textContent !== title) at("title").textContent = title;
    document.title = title;
    at("lead").textContent = lead;
    at("lead").hidden = !lead;
    form.hidden = mood !== "form";
    at("bank").hidden = true;
  }

  function alertText(title, text) {
    at("alert").hidden = !text;
    at("alert-title").textContent = title;
    at("alert-text").textContent = text;
  }

  function showForm(declined) {
    const returned = form.hidden;
    show("form", texts.title, "");
    pay.disabled = false;
    if (declined) alertText(texts.declined, `${declined.message} ${texts.another}`);
    if (returned && declined) inputs.number.focus();
  }

  function apply(payment) {
    if (leaving || payment.updated_at < shownAt) return;
    shownAt = payment.updated_at;
    const step = payment.next_action && payment.next_action.step;
    if (payment.status === "action_required" && step === "checkout") {
      if (submitting) return;
      if (!config.key) { show("waiting", texts.title, texts.no_key); return; }
      showForm(payment.decline);
    } else if (payment.status === "action_required") {
      alertText("", "");
      show("waiting", texts.bank, texts.bank_lead);
      at("bank").hidden = false;
      at("bank").href = payment.next_action.url;
    } else if (FINAL.includes(payment.status)) {
      finish(payment);
    } else {
      alertText("", "");
      const face = faces[payment.status];
      show("waiting", payment.status === "processing" ? texts.working : face.title,
        payment.status === "processing" ? texts.working_lead : face.lead);
    }
  }

  function finish(payment) {
    const face = faces[payment.status], good = face.mood === "good";
    alertText("", "");
    clear();
    show(face.mood, face.title, payment.decline && !good ? payment.decline.message : face.lead);
    at("close").hidden = Boolean(config.onward);
    if (!config.onward) return;
    at("onward").href = config.onward;
    at("onward").hidden = at("soon").hidden = false;
    setTimeout(() => location.assign(config.onward), 6000);
  }

  function clear() {
    for (const input of Object.values(inputs)) input.value = "";
  }

  // --- sending -------------------------------------------------------------------------------------
  const PROBLEMS = {
    "payment-in-progress": texts.in_progress, "request-in-progress": texts.in_progress,
    "too-many-attempts": texts.too_many, "provider-unavailable": texts.unavailable,
    "cryptogram-invalid": texts.refused, "link-invalid": texts.gone,
  };

  async function send() {
    const body = {
      card_cryptogram: makeCryptogram(config.key),
      cardholder_name: inputs.name.value.trim() || null,
      save_method: Boolean(at("save") && at("save").checked),
    };
    inputs.cvv.value = "";
    const answer = await fetch(config.attempts_path + location.search, {
      method: "POST", headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: JSON.stringify(body), credentials: "omit", cache: "no-store", referrerPolicy: "no-referrer",
    });
    return { status: answer.status, body: await answer.json() };
  }

  function take(answer) {
    if (answer.status === 201) {
      const action = answer.body.next_action;
      if (action && action.step === "3ds") { leaving = true; location.assign(action.url); return; }
      apply(answer.body);
      return;
    }
    const code = String(answer.body.type || "").split("/").pop();
    if (code === "checkout-closed") { location.reload(); return; }
    showForm(null);
    alertText(texts.trouble, PROBLEMS[code] || texts.unavailable);
    follow();
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (submitting) return;
    const wrong = Object.keys(inputs).filter((field) => !check(field));
    if (wrong.length) { inputs[wrong[0]].focus(); return; }
    submitting = true;
    pay.disabled = true;
    alertText("", "");
    show("waiting", texts.working, texts.working_lead);
    at("title").focus();
    try {
      const answer = await send();
      submitting = false;
      take(answer);
    } catch {
      // Sent or not, nobody knows: the stream tells. The form comes back only when the payment awaits a card.
      submitting = false;
      show("waiting", texts.working, texts.lost);
      shownAt = "";
      follow();
    }
  });

  // --- typing --------------------------------------------------------------------------------------
  function reformat(input, make) {
    const before = digits(input.value.slice(0, input.selectionStart)).length;
    const text = make(digits(input.value));
    if (text === input.value) return;
    input.value = text;
    let place = 0;
    for (let seen = 0; place < text.length && seen < before; place++) if (/\d/.test(text[place])) seen++;
    input.setSelectionRange(place, place);
  }

  const groupNumber = (number) => (isAmex(number)
    ? [number.slice(0, 4), number.slice(4, 10), number.slice(10, 15)]
    : number.slice(0, 19).match(/.{1,4}/g) || []).filter(Boolean).join(" ");

  inputs.number.addEventListener("input", () => reformat(inputs.number, groupNumber));
  inputs.expiry.addEventListener("input", (event) => {
    if (event.inputType && event.inputType.startsWith("delete")) return;
    const plain = digits(inputs.expiry.value);
    if (inputs.expiry.value.includes("/") && plain.length !== 4) return;
    if (plain.length === 1 && plain > "1") inputs.expiry.value = `0${plain} / `;
    else if (plain.length >= 2 && plain.length <= 4) inputs.expiry.value = `${plain.slice(0, 2)} / ${plain.slice(2)}`;
  });
  for (const field of Object.keys(inputs)) {
    inputs[field].addEventListener("blur", () => { if (inputs[field].value) check(field); });
    inputs[field].addEventListener("input", () => {
      if (inputs[field].hasAttribute("aria-invalid")) check(field);
    });
  }

  // --- live status ---------------------------------------------------------------------------------
  function follow() {
    if (following) following.close();
    following = followPayment(config.payment.events_url, (payment) => {
      apply(payment);
      if (FINAL.includes(payment.status)) following.close();
    });
  }

  apply(config.payment);
  if (!FINAL.includes(config.payment.status)) follow();
  window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
})();
