#include "rows.h"

#include <poll.h>

#include <array>
#include <cerrno>
#include <map>

#include "../../completion.h"

namespace ackgate::sim {

std::string nameOf(int32_t result, uint32_t length) {
  static const std::map<int, const char*> names{
      {EAGAIN, "-EAGAIN"}, {EPIPE, "-EPIPE"},         {ECONNRESET, "-ECONNRESET"}, {ECANCELED, "-ECANCELED"},
      {ENOENT, "-ENOENT"}, {EBADF, "-EBADF"},         {ENOTSOCK, "-ENOTSOCK"},     {EFAULT, "-EFAULT"},
      {EINTR, "-EINTR"},   {ETIMEDOUT, "-ETIMEDOUT"}, {EEXIST, "-EEXIST"},         {EINVAL, "-EINVAL"},
  };
  const auto name = names.find(-result);
  if (name != names.end()) {
    return name->second;
  }
  if (result > 0 && length > 0) {
    return static_cast<uint32_t>(result) == length ? "all" : "short";
  }
  return std::to_string(result);
}

namespace {

constexpr uint32_t fillStep = 4096;
constexpr uint32_t bigSend = 4U << 20U;
constexpr size_t everything = SIZE_MAX;
/** How long a completion may take that has to come. */
constexpr int waitsMax = 40;
constexpr uint64_t waitNs = 50000000;

std::vector<uint8_t>& scratch() {
  static std::vector<uint8_t> bytes(bigSend, 0x55);
  return bytes;
}

/** A ring with the completions that it has given. */
class Client {
 public:
  explicit Client(Machine& machine) : ring(machine.ring()), machine_(machine) {}

  static uint64_t id(What what, uint32_t slot, uint32_t generation = 1) {
    return encodeUserData(what, slot, generation);
  }

  /** Opens a slot for a connection. */
  void open(uint32_t slot, int fd) {
    ring->registerFile(slot, fd);
    fds_[slot] = fd;
  }

  Submission request(What what, uint32_t slot, uint32_t length = 0, uint32_t generation = 1) {
    Submission of{};
    of.userData = id(what, slot, generation);
    of.bytes = scratch().data();
    of.length = length;
    of.fd = fds_.count(slot) > 0 ? fds_[slot] : -1;
    return of;
  }
  static Submission cancelOf(uint64_t target, uint32_t generation) {
    Submission of{};
    of.userData = id(What::cancelSend, slotOf(target), generation);
    of.target = target;
    of.fd = -1;
    return of;
  }

  void submit(const std::vector<Submission>& all) const { static_cast<void>(takenOf(all)); }
  /** The same, and how many the kernel has taken. */
  [[nodiscard]] uint32_t takenOf(const std::vector<Submission>& all) const {
    ring->prepare(all.data(), static_cast<uint32_t>(all.size()));
    return ring->submit().consumed;
  }

  /** Completions that are in the queue already. */
  uint32_t take() {
    std::array<Completion, 64> batch{};
    uint32_t total = 0;
    for (;;) {
      const uint32_t count = ring->take(batch.data(), batch.size());
      for (uint32_t i = 0; i < count; i++) {
        results_[batch[i].userData] = batch[i].result;
      }
      total += count;
      if (count < batch.size()) {
        return total;
      }
    }
  }

  /** The result of a request: waits for it, but says `none` when it doesn't come. */
  std::string result(uint64_t userData, uint32_t length = 0, int waits = waitsMax) {
    for (int i = 0; i <= waits; i++) {
      take();
      const auto found = results_.find(userData);
      if (found != results_.end()) {
        std::string name = nameOf(found->second, length);
        results_.erase(found);
        return name;
      }
      if (i < waits) {
        ring->wait(waitNs);
      }
    }
    return "none";
  }
  /** The same for one that is not expected soon. */
  std::string resultNow(uint64_t userData, uint32_t length = 0) { return result(userData, length, 2); }

  std::unique_ptr<RingOps> ring;

 private:
  Machine& machine_;
  std::map<uint32_t, int> fds_;
  std::map<uint64_t, int32_t> results_;
};

/** Sends until the kernel has no room and none comes. Returns the bytes. */
size_t fill(Machine& machine, int fd) {
  size_t total = 0;
  for (int refusals = 0; refusals < 2;) {
    const int64_t sent = machine.sockets().send(fd, scratch().data(), fillStep);
    if (sent > 0) {
      total += static_cast<size_t>(sent);
      refusals = 0;
    } else {
      refusals++;
      machine.settle();
    }
  }
  return total;
}

constexpr uint32_t length = 1000;

/** A connection whose peer has stopped reading, and a send that waits for it. */
struct Blocked {
  explicit Blocked(Machine& machine, const QueueSizes& sizes = {})
      : client(machine), fd(machine.connect(sizes)), filled(fill(machine, fd)) {
    client.open(0, fd);
    client.submit({client.request(What::send, 0, length)});
  }
  std::string resultNow() { return client.resultNow(send, length); }
  std::string result() { return client.result(send, length); }

  Client client;
  int fd;
  size_t filled;
  uint64_t send = Client::id(What::send, 0);
};

Facts fullBufferWaits(Machine& machine) {
  Blocked blocked(machine);
  Facts facts{{"before the peer reads", blocked.resultNow()}};
  machine.peerReads(blocked.fd, everything);
  facts.emplace_back("after", blocked.result());
  machine.sockets().close(blocked.fd);
  return facts;
}

Facts fullBufferDontWait(Machine& machine) {
  const int fd = machine.connect();
  fill(machine, fd);
  const auto result = static_cast<int32_t>(machine.sockets().send(fd, scratch().data(), length));
  machine.sockets().close(fd);
  return {{"result", nameOf(result, length)}};
}

Facts bigSendShort(Machine& machine) {
  Client client(machine);
  const int fd = machine.connect();
  client.open(0, fd);
  client.submit({client.request(What::send, 0, bigSend)});
  Facts facts{{"result", client.result(Client::id(What::send, 0), bigSend)}};
  machine.sockets().close(fd);
  return facts;
}

Facts peerResetsIdle(Machine& machine) {
  Client client(machine);
  const int fd = machine.connect();
  client.open(0, fd);
  machine.peerResets(fd);
  Facts facts;
  for (uint32_t generation = 1; generation <= 2; generation++) {
    client.submit({client.request(What::send, 0, length, generation)});
    facts.emplace_back(generation == 1 ? "first" : "second",
                       client.result(Client::id(What::send, 0, generation), length));
  }
  machine.sockets().close(fd);
  return facts;
}

Facts ownShutdown(Machine& machine) {
  Blocked blocked(machine);
  machine.sockets().endWrites(blocked.fd);
  machine.settle();
  Facts facts{{"result", blocked.result()}};
  machine.sockets().close(blocked.fd);
  return facts;
}

Facts ownReset(Machine& machine) {
  Blocked blocked(machine);
  machine.sockets().reset(blocked.fd);
  machine.settle();
  const std::string result = blocked.result();
  // Which of the two errors it is, the state of the connection decides.
  Facts facts{{"the send ends", result == "-EPIPE" || result == "-ECONNRESET" ? "with an error" : result}};
  machine.sockets().close(blocked.fd);
  machine.peerReads(blocked.fd, everything);
  return facts;
}

Facts cancel(Machine& machine) {
  Blocked blocked(machine);
  Client& client = blocked.client;
  client.submit({Client::cancelOf(blocked.send, 7)});
  Facts facts{{"cancel", client.result(Client::id(What::cancelSend, 0, 7))}, {"target", blocked.result()}};
  client.submit({Client::cancelOf(blocked.send, 8)});
  facts.emplace_back("unknown target", client.result(Client::id(What::cancelSend, 0, 8)));
  machine.sockets().close(blocked.fd);
  return facts;
}

Facts queueFull(Machine& machine) {
  Client client(machine);
  const int fd = machine.connect();
  client.open(0, fd);
  const std::vector<Submission> more(client.ring->entries() + 5, client.request(What::poll, 0));
  const uint32_t prepared = client.ring->prepare(more.data(), static_cast<uint32_t>(more.size()));
  client.ring->rewind();
  machine.sockets().close(fd);
  return {{"entries", prepared == client.ring->entries() ? "exactly its size" : std::to_string(prepared)}};
}

Facts overflow(Machine& machine) {
  Client client(machine);
  const int fd = machine.connect();
  client.open(0, fd);
  const uint32_t total = client.ring->completionEntries() + 50;
  uint32_t sent = 0;
  while (sent < total) {
    std::vector<Submission> batch;
    for (uint32_t i = 0; i < 50 && sent + i < total; i++) {
      batch.push_back(client.request(What::send, 0, 1, sent + i));
    }
    sent += client.takenOf(batch);
  }
  Facts facts{{"overflow flag", client.ring->overflowed() ? "set" : "not set"}};
  uint32_t taken = client.take();
  facts.emplace_back("in the queue",
                     taken == client.ring->completionEntries() ? "its size" : std::to_string(taken));
  client.ring->getEvents();
  taken += client.take();
  facts.emplace_back("after entering", taken == total ? "all" : std::to_string(taken));
  machine.sockets().close(fd);
  return facts;
}

Facts badEntry(Machine& machine) {
  Client client(machine);
  const int fd = machine.connect();
  client.open(0, fd);
  client.open(2, fd);
  const uint32_t consumed =
      client.takenOf({client.request(What::send, 0, length), client.request(What::send, 1, length),
                      client.request(What::send, 2, length)});
  Facts facts{{"taken", std::to_string(consumed)}};
  for (uint32_t slot = 0; slot < 3; slot++) {
    facts.emplace_back("entry " + std::to_string(slot), client.result(Client::id(What::send, slot), length));
  }
  machine.sockets().close(fd);
  return facts;
}

Facts interruptedWait(Machine& machine) {
  Client client(machine);
  const int fd = machine.connect();
  client.open(0, fd);
  const Submission send = client.request(What::send, 0, length);
  client.ring->prepare(&send, 1);
  machine.interrupt();
  Facts facts{{"wait", nameOf(-client.ring->wait(5000000000U))}};
  facts.emplace_back("entries left", std::to_string(client.ring->submit().consumed));
  facts.emplace_back("result", client.result(Client::id(What::send, 0), length));
  machine.sockets().close(fd);
  return facts;
}

Facts ringClosed(Machine& machine) {
  Blocked blocked(machine);
  blocked.client.ring->close();
  machine.settle();
  const size_t arrived = machine.peerReads(blocked.fd, everything);
  machine.sockets().close(blocked.fd);
  return {{"its bytes", arrived == blocked.filled ? "never arrive" : "arrive"}};
}

Facts closedDescriptor(Machine& machine) {
  Blocked blocked(machine);
  machine.sockets().close(blocked.fd);
  Facts facts{{"the send", blocked.resultNow()}};
  size_t arrived = machine.peerReads(blocked.fd, everything);
  facts.emplace_back("result", blocked.result());
  arrived += machine.peerReads(blocked.fd, everything);
  facts.emplace_back("its bytes", arrived == blocked.filled + length ? "arrive" : "never arrive");
  return facts;
}

Facts batchInline(Machine& machine) {
  Client client(machine);
  std::vector<int> fds;
  std::vector<Submission> batch;
  for (uint32_t slot = 0; slot < 8; slot++) {
    fds.push_back(machine.connect());
    client.open(slot, fds.back());
    batch.push_back(client.request(What::send, slot, 256));
  }
  client.submit(batch);
  Facts facts{
      {"there when submit returns", std::to_string(client.take()) + " of " + std::to_string(batch.size())}};
  for (const int fd : fds) {
    machine.sockets().close(fd);
  }
  return facts;
}

Facts resumedNeedsEnter(Machine& machine) {
  Blocked blocked(machine);
  Client& client = blocked.client;
  blocked.resultNow();
  machine.peerReads(blocked.fd, everything);
  machine.settle();
  Facts facts{{"looking at the queue", std::to_string(client.take())},
              {"flag", client.ring->needsEnter() ? "set" : "not set"}};
  client.ring->getEvents();
  facts.emplace_back("after entering", client.resultNow(blocked.send, length));
  machine.sockets().close(blocked.fd);
  return facts;
}

/** Reads in small steps until a poll fires: which part of the kernel's queue was free then. */
Facts writableAtAThird(Machine& machine) {
  Client client(machine);
  const int fd = machine.connect({512 * 1024, 16 * 1024});
  client.open(0, fd);
  fill(machine, fd);
  client.submit({client.request(What::poll, 0)});
  const int full = machine.sockets().queuedBytes(fd);
  std::string at = "never";
  for (int left = full; at == "never" && left > full / 20;) {
    machine.peerReads(fd, 16384);
    left = machine.sockets().queuedBytes(fd);
    if (client.result(Client::id(What::poll, 0), 0, 1) != "none") {
      const double part = static_cast<double>(full - left) / full;
      at = part < 0.25 ? "less than a quarter" : part > 0.5 ? "more than half" : "about a third";
    }
  }
  machine.sockets().close(fd);
  return {{"free when writable", at}};
}

Facts orderlyEnd(Machine& machine) {
  const int fd = machine.connect();
  const size_t filled = fill(machine, fd);
  machine.sockets().endWrites(fd);
  machine.sockets().close(fd);
  const size_t arrived = machine.peerReads(fd, everything);
  return {{"what was queued", arrived == filled ? "is read" : "is lost"}, {"then", machine.peerSees(fd)}};
}

Facts resetDiscards(Machine& machine) {
  const int fd = machine.connect();
  fill(machine, fd);
  machine.sockets().reset(fd);
  // What it had got already it may still read.
  machine.peerReads(fd, everything);
  Facts facts{{"with the descriptor open the peer sees", machine.peerSees(fd)}};
  machine.sockets().close(fd);
  return facts;
}

Facts oddSends(Machine& machine) {
  Client client(machine);
  const int fd = machine.connect();
  client.open(0, fd);
  client.open(1, machine.pipe());
  Submission nowhere = client.request(What::send, 0, length, 3);
  nowhere.bytes = reinterpret_cast<const uint8_t*>(uintptr_t{8});
  client.submit({client.request(What::send, 0, 0), client.request(What::send, 2, length),
                 client.request(What::send, 1, length), nowhere});
  Facts facts{{"length 0", client.result(Client::id(What::send, 0))},
              {"bad descriptor", client.result(Client::id(What::send, 2))},
              {"pipe", client.result(Client::id(What::send, 1))},
              {"bad pointer", client.result(Client::id(What::send, 0, 3))}};
  machine.sockets().close(fd);
  return facts;
}

}  // namespace

std::vector<Row> sharedRows() {
  return {
      {"full socket buffer", {{"before the peer reads", "none"}, {"after", "all"}}, fullBufferWaits},
      {"full socket buffer, without waiting", {{"result", "-EAGAIN"}}, fullBufferDontWait},
      {"4 MiB in one send", {{"result", "short"}}, bigSendShort},
      {"idle socket, the peer resets", {{"first", "-ECONNRESET"}, {"second", "-EPIPE"}}, peerResetsIdle},
      {"own shutdown of the write side while a send is blocked", {{"result", "-EPIPE"}}, ownShutdown},
      {"own reset while a send is blocked", {{"the send ends", "with an error"}}, ownReset},
      {"cancel by user data",
       {{"cancel", "0"}, {"target", "-ECANCELED"}, {"unknown target", "-ENOENT"}},
       cancel},
      {"submission queue full", {{"entries", "exactly its size"}}, queueFull},
      {"more completions than places",
       {{"overflow flag", "set"}, {"in the queue", "its size"}, {"after entering", "all"}},
       overflow},
      {"bad descriptor inside a batch",
       {{"taken", "3"}, {"entry 0", "all"}, {"entry 1", "-EBADF"}, {"entry 2", "all"}},
       badEntry},
      {"signal during a wait",
       {{"wait", "-EINTR"}, {"entries left", "1"}, {"result", "all"}},
       interruptedWait},
      {"ring closed with a blocked send", {{"its bytes", "never arrive"}}, ringClosed},
      {"descriptor closed with a send under way",
       {{"the send", "none"}, {"result", "all"}, {"its bytes", "arrive"}},
       closedDescriptor},
      {"a batch of small sends on healthy sockets", {{"there when submit returns", "8 of 8"}}, batchInline},
      {"a blocked send is resumed, and only the queue is looked at",
       {{"looking at the queue", "0"}, {"flag", "set"}, {"after entering", "all"}},
       resumedNeedsEnter},
      {"the peer reads steadily from a full queue",
       {{"free when writable", "about a third"}},
       writableAtAThird},
      {"orderly end of a blocked peer", {{"what was queued", "is read"}, {"then", "end"}}, orderlyEnd},
      {"reset of a blocked peer", {{"with the descriptor open the peer sees", "reset"}}, resetDiscards},
      {"odd sends",
       {{"length 0", "0"}, {"bad descriptor", "-EBADF"}, {"pipe", "-ENOTSOCK"}, {"bad pointer", "-EFAULT"}},
       oddSends},
  };
}

}  // namespace ackgate::sim
