#include "binding_functions.h"

#include <cerrno>
#include <map>

#include "descriptors.h"
#include "layout.h"
#include "liburing_ring.h"
#include "owned_descriptors.h"
#include "pages.h"
#include "socket_ops.h"
#include "wake_descriptor.h"

namespace ackgate {

namespace {

int32_t integer(const Napi::CallbackInfo& info, size_t index) { return info[index].ToNumber().Int32Value(); }

/** One environment as the owner of descriptors. */
struct Environment {
  /** Views of the words that are set when the environment ends, by descriptor; they keep the memory alive. */
  std::map<int, Napi::ObjectReference> words;
};

Environment* environment(const Napi::CallbackInfo& info) { return static_cast<Environment*>(info.Data()); }

void endEnvironment(void* ended) {
  OwnedDescriptors::instance().closeAll(ended);
  delete static_cast<Environment*>(ended);
}

Napi::Value adoptFd(const Napi::CallbackInfo& info) {
  const int fd = adoptDescriptor(integer(info, 0), integer(info, 1));
  return Napi::Number::New(info.Env(), OwnedDescriptors::instance().own(environment(info), fd));
}

Napi::Value dupFd(const Napi::CallbackInfo& info) {
  const int fd = duplicateDescriptor(integer(info, 0));
  return Napi::Number::New(info.Env(), OwnedDescriptors::instance().own(environment(info), fd));
}

Napi::Value closeFd(const Napi::CallbackInfo& info) {
  const int fd = integer(info, 0);
  environment(info)->words.erase(fd);
  return Napi::Number::New(info.Env(), OwnedDescriptors::instance().close(fd));
}

Napi::Value createWakeFd(const Napi::CallbackInfo& info) {
  const int fd = createWakeDescriptor();
  void* word = nullptr;
  if (fd >= 0 && info[0].IsTypedArray() &&
      napi_get_typedarray_info(info.Env(), info[0], nullptr, nullptr, &word, nullptr, nullptr) == napi_ok) {
    environment(info)->words[fd] = Napi::Persistent(info[0].As<Napi::Object>());
  }
  OwnedDescriptors::instance().own(environment(info), fd, static_cast<int32_t*>(word),
                                   word == nullptr ? 0 : integer(info, 1));
  return Napi::Number::New(info.Env(), fd);
}

Napi::Value wakeUp(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), wake(info[0].As<Napi::Number>().Int32Value()));
}

Napi::Value fdLimits(const Napi::CallbackInfo& info) {
  const DescriptorLimits limits = descriptorLimits();
  Napi::Object answer = Napi::Object::New(info.Env());
  answer.Set("soft", Napi::Number::New(info.Env(), limits.soft));
  answer.Set("hard", Napi::Number::New(info.Env(), limits.hard));
  return answer;
}

Napi::Value monotonicNs(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(SystemSocketOps::instance().nowNs()));
}

/** How far into a page the view starts, in bytes. */
Napi::Value pageOffset(const Napi::CallbackInfo& info) {
  void* data = nullptr;
  if (!info[0].IsTypedArray() ||
      napi_get_typedarray_info(info.Env(), info[0], nullptr, nullptr, &data, nullptr, nullptr) != napi_ok) {
    return Napi::Number::New(info.Env(), -EINVAL);
  }
  return Napi::Number::New(info.Env(), static_cast<double>(reinterpret_cast<uintptr_t>(data) % pageBytes()));
}

Napi::Value probeUring(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  RingReport report;
  const auto entries = info[0].ToNumber().Uint32Value();
  const auto files = info[1].IsNumber() ? info[1].ToNumber().Uint32Value() : 1U;
  const auto ring = createLiburingRing({entries, files, false}, &report);
  Napi::Array features = Napi::Array::New(env, report.features.size());
  for (uint32_t i = 0; i < report.features.size(); i++) {
    features.Set(i, report.features[i]);
  }
  Napi::Object answer = Napi::Object::New(env);
  answer.Set("errno", Napi::Number::New(env, report.error));
  answer.Set("stage", Napi::String::New(env, report.stage));
  answer.Set("entries", Napi::Number::New(env, report.entries));
  answer.Set("features", features);
  return answer;
}

Napi::Object layoutOf(Napi::Env env) {
  struct Entry {
    const char* name;
    uint32_t value;
  };
  Napi::Object all = Napi::Object::New(env);
  for (const Entry& entry : {
           Entry{"sendBufferBytes", layout::sendBufferBytes},
           Entry{"parkMsMax", layout::parkMsMax},
           Entry{"requestWords", layout::requestWords},
           Entry{"request.op", layout::request::op},
           Entry{"request.slot", layout::request::slot},
           Entry{"request.generation", layout::request::generation},
           Entry{"request.offset", layout::request::offset},
           Entry{"request.length", layout::request::length},
           Entry{"resultWords", layout::resultWords},
           Entry{"result.op", layout::result::op},
           Entry{"result.slot", layout::result::slot},
           Entry{"result.generation", layout::result::generation},
           Entry{"result.value", layout::result::value},
           Entry{"op.send", layout::op::send},
           Entry{"op.poll", layout::op::poll},
           Entry{"op.closed", layout::op::closed},
           Entry{"how.orderly", layout::how::orderly},
           Entry{"how.reset", layout::how::reset},
           Entry{"stateWords", layout::stateWords},
           Entry{"state.submitErrno", layout::state::submitErrno},
           Entry{"state.unsubmitted", layout::state::unsubmitted},
           Entry{"state.underWay", layout::state::underWay},
           Entry{"state.more", layout::state::more},
           Entry{"state.overflows", layout::state::overflows},
       }) {
    all.Set(entry.name, Napi::Number::New(env, entry.value));
  }
  return all;
}

}  // namespace

void defineFunctions(Napi::Env env, Napi::Object exports) {
  // The first hook is the last to run: a sender ends before the descriptors that it was made with.
  auto* owner = new Environment;
  napi_add_env_cleanup_hook(env, endEnvironment, owner);
  exports.Set("layout", layoutOf(env));
  exports.Set("adoptFd", Napi::Function::New<adoptFd>(env, "adoptFd", owner));
  exports.Set("dupFd", Napi::Function::New<dupFd>(env, "dupFd", owner));
  exports.Set("closeFd", Napi::Function::New<closeFd>(env, "closeFd", owner));
  exports.Set("createWakeFd", Napi::Function::New<createWakeFd>(env, "createWakeFd", owner));
  exports.Set("wake", Napi::Function::New<wakeUp>(env, "wake"));
  exports.Set("fdLimits", Napi::Function::New<fdLimits>(env, "fdLimits"));
  exports.Set("monotonicNs", Napi::Function::New<monotonicNs>(env, "monotonicNs"));
  exports.Set("pageOffset", Napi::Function::New<pageOffset>(env, "pageOffset"));
  exports.Set("probeUring", Napi::Function::New<probeUring>(env, "probeUring"));
}

}  // namespace ackgate
