#include "streams.h"

#include <algorithm>
#include <cerrno>

namespace ackgate::sim {

uint8_t Streams::patternByte(size_t socket, uint64_t position) {
  return static_cast<uint8_t>(socket * 37 + position * 31 + (position >> 8U) * 7);
}

template <typename Each>
void Streams::pieces(uint32_t slot, uint64_t from, uint64_t to, const Each& each) {
  while (from < to) {
    const uint64_t place = from % window_;
    const uint64_t count = std::min<uint64_t>(to - from, window_ - place);
    each(tables_.buffer(slot) + place, static_cast<size_t>(count));
    from += count;
  }
}

void Streams::open(uint32_t slot, int fd, bool refused) {
  Stream& stream = items_[slot];
  const uint32_t generation = stream.generation;
  stream = Stream{};
  stream.generation = generation;
  if (!refused) {
    stream.life = Stream::Life::open;
    stream.socket = kernel_.idOf(fd);
    expected_.resize(std::max(expected_.size(), stream.socket + 1));
  }
}

void Streams::append(uint32_t slot, uint32_t bytes) {
  Stream& stream = items_[slot];
  const uint64_t room = window_ - stream.used();
  const uint64_t end = stream.appended + std::min<uint64_t>(bytes, room);
  pieces(slot, stream.appended, end, [&stream](uint8_t* bytes, size_t count) {
    for (size_t i = 0; i < count; i++) {
      bytes[i] = patternByte(stream.socket, stream.appended + i);
    }
    stream.appended += count;
  });
  expected_[stream.socket].appended = stream.appended;
}

Request Streams::prepareSend(uint32_t slot) {
  Stream& stream = items_[slot];
  const auto offset = static_cast<uint32_t>(stream.sent % window_);
  const auto contiguous = static_cast<uint32_t>(std::min<uint64_t>(stream.used(), window_ - offset));
  if (contiguous < stream.used()) {
    kernel_.reach(Reached::wrappedSend);
  }
  stream.sending = true;
  stream.underWay = contiguous;
  return sendOf(slot, contiguous, stream.generation, offset);
}

bool Streams::apply(const Result& result) {
  if (result.slot >= size() || result.generation >= bogusGeneration) {
    bogusAnswers++;
    kernel_.reach(Reached::refusedRequest);
    return false;
  }
  Stream& stream = items_[result.slot];
  if (result.generation != stream.generation || stream.life == Stream::Life::free) {
    kernel_.violate("I06", "a result for a connection that has ended");
    return false;
  }
  if (result.op == layout::op::send) {
    return applySend(result, &stream);
  }
  if (result.op == layout::op::poll) {
    if (!stream.polling) {
      kernel_.violate("I11", "a poll answered twice");
    }
    stream.polling = false;
    return false;
  }
  applyClosed(result, &stream);
  return false;
}

bool Streams::applySend(const Result& result, Stream* stream) {
  const bool unexpected = !stream->sending || result.value > static_cast<int64_t>(stream->underWay);
  if (unexpected) {
    kernel_.violate("I11", stream->sending ? "more bytes reported sent than were asked for"
                                           : "a send answered that was not asked for");
    return false;
  }
  stream->sending = false;
  if (result.value > 0) {
    const uint64_t from = stream->sent;
    stream->sent += static_cast<uint64_t>(result.value);
    stream->cutShort = static_cast<uint32_t>(result.value) != stream->underWay;
    stream->stuck = 0;
    verify(stream->socket);
    // From here on the bytes are the stage's again: whoever still reads them sends rubbish.
    scramble(result.slot, from, stream->sent);
    return false;
  }
  if (result.value == 0 || result.value == -EAGAIN) {
    stream->refused = true;
    return false;
  }
  if (result.value == -EINTR) {
    kernel_.violate("I11", "an interruption shown to the stage instead of a send tried again");
    return false;
  }
  if (result.value == -ECANCELED) {
    if (kernel_.fence != 0) {
      kernel_.reach(Reached::fenceCanceled);
    }
    return false;
  }
  return stream->life == Stream::Life::open;
}

void Streams::applyClosed(const Result& result, Stream* stream) {
  const FakeSocket& socket = kernel_.socketOf(stream->socket);
  if (stream->life != Stream::Life::closing) {
    kernel_.violate("I06", "the end of a connection that nobody ended");
  } else if (stream->sending || stream->polling) {
    kernel_.violate("I06", "the end of a connection reported while a request of it is under way");
  }
  if (socket.open) {
    kernel_.violate("I06", "an end reported and the descriptor is open");
  }
  const bool ended = stream->how == layout::how::reset ? socket.wasReset : socket.writesEnded;
  if (!ended) {
    kernel_.violate("I06", "only the stage's descriptor was closed: the connection goes on");
  }
  verify(stream->socket);
  if (socket.received.size() != stream->sent) {
    kernel_.violate("I11", "bytes reported sent are not those that the kernel took");
  }
  scramble(result.slot, 0, std::min<uint64_t>(stream->appended, window_));
  stream->life = Stream::Life::free;
}

void Streams::verify(size_t socket) {
  Expected& expected = expected_[socket];
  const auto& received = kernel_.socketOf(socket).received;
  if (received.size() > expected.appended) {
    kernel_.violate("I02", "a client has got more bytes than were appended for it");
    return;
  }
  for (; expected.verified < received.size(); expected.verified++) {
    if (received[expected.verified] != patternByte(socket, expected.verified)) {
      kernel_.violate("I02", "a client has got a wrong byte at " + std::to_string(expected.verified) +
                                 " of " + std::to_string(received.size()));
      return;
    }
  }
}

uint32_t Streams::occupied() const {
  return static_cast<uint32_t>(std::count_if(items_.begin(), items_.end(),
                                             [](const Stream& of) { return of.life != Stream::Life::free; }));
}

uint32_t Streams::owed() const {
  uint32_t owed = 0;
  for (const Stream& stream : items_) {
    owed += (stream.sending ? 1U : 0U) + (stream.polling ? 1U : 0U);
  }
  return owed;
}

void Streams::checkAll() {
  expected_.resize(std::max(expected_.size(), kernel_.sockets().size()));
  for (size_t socket = 0; socket < expected_.size(); socket++) {
    verify(socket);
  }
}

void Streams::poison() {
  for (uint32_t slot = 0; slot < size(); slot++) {
    scramble(slot, 0, window_);
  }
}

void Streams::scramble(uint32_t slot, uint64_t from, uint64_t to) {
  pieces(slot, from, to, [](uint8_t* bytes, size_t count) {
    for (size_t i = 0; i < count; i++) {
      bytes[i] = static_cast<uint8_t>(~bytes[i]);
    }
  });
}

}  // namespace ackgate::sim
