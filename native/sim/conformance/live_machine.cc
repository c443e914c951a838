#include "machine.h"

// Without a ring there is nothing to compare with.
#if HAVE_LIBURING

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <map>
#include <vector>

#include "../../liburing_ring.h"
#include "../../socket_ops.h"
#include "live_socket.h"

namespace ackgate::sim {

LiveSocket connectLoopback(const QueueSizes& sizes) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &sizes.receive, sizeof sizes.receive);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  LiveSocket made;
  if (bind(listener, generic, length) == 0 && listen(listener, 1) == 0 &&
      getsockname(listener, generic, &length) == 0) {
    made.near = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(made.near, SOL_SOCKET, SO_SNDBUF, &sizes.send, sizeof sizes.send);
    const int yes = 1;
    setsockopt(made.near, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (::connect(made.near, generic, length) == 0) {
      made.far = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    }
  }
  ::close(listener);
  return made;
}

void resetFrom(int fd) {
  const linger atOnce{1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &atOnce, sizeof atOnce);
  ::close(fd);
}

void pauseMs(int ms) {
  timespec left{ms / 1000, (ms % 1000) * 1000000L};
  while (nanosleep(&left, &left) != 0 && errno == EINTR) {
  }
}

namespace {

constexpr uint32_t ringEntries = 64;
constexpr uint32_t filesMax = 16;
/** Loopback needs far less; a machine under load more. */
constexpr int settleMs = 60;

extern "C" void ignoreSignal(int /*signal*/) {}

class LiveMachine final : public Machine {
 public:
  LiveMachine() = default;
  ~LiveMachine() override {
    for (const auto& [fd, far] : peers_) {
      if (far >= 0) {
        ::close(far);
      }
    }
    for (const int fd : others_) {
      ::close(fd);
    }
  }

  SocketOps& sockets() override { return SystemSocketOps::instance(); }

  std::unique_ptr<RingOps> ring() override {
    RingReport report;
    return createLiburingRing({ringEntries, filesMax, false}, &report);
  }

  int connect(const QueueSizes& sizes) override {
    const LiveSocket made = connectLoopback(sizes);
    peers_[made.near] = made.far;
    return made.near;
  }

  int pipe() override {
    std::array<int, 2> ends{-1, -1};
    if (pipe2(ends.data(), O_CLOEXEC) == 0) {
      others_.insert(others_.end(), ends.begin(), ends.end());
    }
    return ends[1];
  }

  size_t peerReads(int fd, size_t most) override {
    std::vector<uint8_t> bytes(std::min<size_t>(most, 65536));
    size_t total = 0;
    // More may be on its way: only twice nothing is the end.
    for (int empty = 0; empty < 2 && total < most;) {
      const ssize_t count = ::read(peers_[fd], bytes.data(), std::min(bytes.size(), most - total));
      if (count > 0) {
        total += static_cast<size_t>(count);
        empty = 0;
      } else {
        // An error is told once.
        resets_[fd] = resets_[fd] || (count < 0 && errno == ECONNRESET);
        empty++;
        settle();
      }
    }
    return total;
  }

  void peerResets(int fd) override {
    resetFrom(peers_[fd]);
    peers_[fd] = -1;
    settle();
  }

  std::string peerSees(int fd) override {
    settle();
    if (resets_[fd]) {
      return "reset";
    }
    std::array<uint8_t, 1> byte{};
    const ssize_t count = ::read(peers_[fd], byte.data(), byte.size());
    if (count == 0) {
      return "end";
    }
    return count < 0 && errno == ECONNRESET ? "reset" : "nothing";
  }

  void settle() override { pauseMs(settleMs); }

  void interrupt() override {
    struct sigaction action {};
    action.sa_handler = ignoreSignal;
    sigaction(SIGALRM, &action, nullptr);
    const itimerval soon{{0, 0}, {0, settleMs * 1000L}};
    setitimer(ITIMER_REAL, &soon, nullptr);
  }

 private:
  std::map<int, int> peers_;
  std::map<int, bool> resets_;
  std::vector<int> others_;
};

}  // namespace

std::unique_ptr<Machine> createLiveMachine(std::string* reason) {
  RingReport report;
  const auto ring = createLiburingRing({ringEntries, filesMax, false}, &report);
  if (ring == nullptr) {
    *reason = report.stage == "build"
                  ? "built without liburing"
                  : "no ring at " + report.stage + ", errno " + std::to_string(report.error);
    return nullptr;
  }
  return std::make_unique<LiveMachine>();
}

}  // namespace ackgate::sim

#else

namespace ackgate::sim {

std::unique_ptr<Machine> createLiveMachine(std::string* reason) {
  *reason = "built without liburing";
  return nullptr;
}

}  // namespace ackgate::sim

#endif
