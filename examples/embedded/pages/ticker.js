// The same room without the element: the client alone, and a list of our own.

import { connect } from '/chat/ui/client.js';

const chat = connect();
const room = chat.room('order-4711');
const list = document.getElementById('ticker');
const status = document.getElementById('status');
const form = document.getElementById('say');

function show() {
  status.textContent = `${chat.status}, ${room.memberCount} here`;
  list.replaceChildren(...room.messages.slice(-20).map((m) => {
    const li = document.createElement('li');
    li.textContent = `${m.from.name}: ${m.deleted ? '(deleted)' : m.text}${m.state === 'sent' ? '' : ` (${m.state})`}`;
    return li;
  }));
}

chat.addEventListener('status', show);
for (const type of ['change', 'people']) room.addEventListener(type, show);
form.addEventListener('submit', async (e) => {
  e.preventDefault();
  const text = form.elements.text.value;
  form.reset();
  try {
    await room.send(text); // stored when this returns
  } catch (err) {
    status.textContent = `not sent: ${err.message}`;
  }
});
show();
