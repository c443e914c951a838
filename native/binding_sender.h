#pragma once

#include <napi.h>

#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "create_sender.h"
#include "descriptors.h"
#include "layout.h"
#include "owned_descriptors.h"
#include "pages.h"

namespace ackgate {

/** Milliseconds that the end of an environment may wait for the kernel to let go of the buffers. */
constexpr double cleanUpMs = 1000;

/**
 * A sender as a JavaScript class. The views that it is made from are held until the kernel has let go of
 * them, also when a Worker is terminated: the clean-up hook runs on the thread that owns the ring.
 */
template <typename Sender>
class SenderBinding final : public Napi::ObjectWrap<SenderBinding<Sender>> {
 public:
  static void define(Napi::Env env, Napi::Object exports, const char* name) {
    using Self = SenderBinding<Sender>;
    exports.Set(name, Self::DefineClass(env, name,
                                        {Self::template InstanceMethod<&Self::open>("open"),
                                         Self::template InstanceMethod<&Self::flush>("flush"),
                                         Self::template InstanceMethod<&Self::reap>("reap"),
                                         Self::template InstanceMethod<&Self::close>("close"),
                                         Self::template InstanceMethod<&Self::queuedBytes>("queuedBytes"),
                                         Self::template InstanceMethod<&Self::releasePages>("releasePages"),
                                         Self::template InstanceMethod<&Self::park>("park"),
                                         Self::template InstanceMethod<&Self::destroy>("destroy"),
                                         Self::template InstanceAccessor<&Self::features>("features")}));
  }

  explicit SenderBinding(const Napi::CallbackInfo& info) : Napi::ObjectWrap<SenderBinding<Sender>>(info) {
    SenderConfig config;
    if (!info[0].IsObject() || !read(info[0].As<Napi::Object>(), &config)) {
      fail(info.Env(), EINVAL, "options");
      return;
    }
    Created<Sender> created = createSender<Sender>(config);
    if (created.sender == nullptr) {
      fail(info.Env(), created.error, created.stage);
      return;
    }
    sender_ = std::move(created.sender);
    features_ = std::move(created.features);
    env_ = info.Env();
    napi_add_env_cleanup_hook(env_, cleanUp, this);
  }

  ~SenderBinding() override { end(cleanUpMs); }

 private:
  static void fail(Napi::Env env, int error, const std::string& stage) {
    Napi::Error thrown = Napi::Error::New(env, "no sender: " + stage);
    thrown.Set("errno", Napi::Number::New(env, error));
    thrown.Set("stage", Napi::String::New(env, stage));
    thrown.ThrowAsJavaScriptException();
  }

  static void cleanUp(void* self) {
    auto* binding = static_cast<SenderBinding<Sender>*>(self);
    binding->env_ = nullptr;
    binding->end(cleanUpMs);
  }

  /** Finds a view of at least `bytesMin` bytes and keeps it alive. */
  template <typename Word>
  Word* view(const Napi::Object& options, const char* name, napi_typedarray_type type, size_t bytesMin,
             size_t* length) {
    const Napi::Value value = options.Get(name);
    if (!value.IsTypedArray()) {
      return nullptr;
    }
    napi_typedarray_type actual{};
    void* data = nullptr;
    // The raw call: it is the one that also takes views of shared memory.
    if (napi_get_typedarray_info(value.Env(), value, &actual, length, &data, nullptr, nullptr) != napi_ok ||
        actual != type || *length * sizeof(Word) < bytesMin) {
      return nullptr;
    }
    views_.push_back(Napi::Persistent(value.As<Napi::Object>()));
    return static_cast<Word*>(data);
  }

  bool read(const Napi::Object& options, SenderConfig* config) {
    size_t length = 0;
    config->slots = options.Get("slots").ToNumber().Uint32Value();
    config->ringEntries = options.Get("ringEntries").ToNumber().Uint32Value();
    config->wakeFd = options.Get("wakeFd").ToNumber().Int32Value();
    config->sqpoll = options.Get("sqpoll").ToBoolean();
    if (config->slots == 0 || config->slots > slotsMax) {
      return false;
    }
    const size_t arenaBytes = static_cast<size_t>(config->slots) * layout::sendBufferBytes;
    config->arena = view<uint8_t>(options, "arena", napi_uint8_array, arenaBytes, &length);
    config->fence = view<int32_t>(options, "fence", napi_int32_array, sizeof(int32_t), &length);
    config->requests = view<uint32_t>(options, "requests", napi_uint32_array, 1, &length);
    config->requestsMax = static_cast<uint32_t>(length / layout::requestWords);
    config->results = view<int32_t>(options, "results", napi_int32_array, 1, &length);
    config->resultsMax = static_cast<uint32_t>(length / layout::resultWords);
    config->state =
        view<int32_t>(options, "state", napi_int32_array, layout::stateWords * sizeof(int32_t), &length);
    return config->arena != nullptr && config->fence != nullptr && config->requests != nullptr &&
           config->results != nullptr && config->resultsMax > 0 && config->state != nullptr &&
           reinterpret_cast<uintptr_t>(config->arena) % pageBytes() == 0;
  }

  /** Ends the sender once, and lets go of the views if the kernel has. */
  int32_t end(double deadlineMs) {
    if (sender_ == nullptr) {
      return held_;
    }
    held_ = sender_->destroy(deadlineMs);
    sender_.reset();
    if (env_ != nullptr) {
      napi_remove_env_cleanup_hook(env_, cleanUp, this);
    }
    for (Napi::ObjectReference& kept : views_) {
      if (held_ > 0) {
        // The kernel may still read the buffers: memory that is never freed is better than a stranger's
        // bytes.
        kept.SuppressDestruct();
      }
    }
    views_.clear();
    return held_;
  }

  static uint32_t word(const Napi::CallbackInfo& info, size_t index) {
    return info[index].As<Napi::Number>().Uint32Value();
  }
  static Napi::Value number(const Napi::CallbackInfo& info, int32_t value) {
    return Napi::Number::New(info.Env(), value);
  }

  Napi::Value open(const Napi::CallbackInfo& info) {
    const int fd = info[2].As<Napi::Number>().Int32Value();
    // From here on the sender closes it, whatever becomes of the environment that made it.
    const int32_t unknown = OwnedDescriptors::instance().giveUp(fd);
    if (unknown != 0) {
      return number(info, unknown);
    }
    if (sender_ == nullptr) {
      closeDescriptor(fd);
      return number(info, -ESHUTDOWN);
    }
    return number(info, sender_->open(word(info, 0), word(info, 1), fd));
  }
  Napi::Value flush(const Napi::CallbackInfo& info) {
    return number(info, sender_ == nullptr ? 0 : sender_->flush(word(info, 0)));
  }
  Napi::Value reap(const Napi::CallbackInfo& info) {
    return number(info, sender_ == nullptr ? 0 : sender_->reap());
  }
  void close(const Napi::CallbackInfo& info) {
    if (sender_ != nullptr) {
      sender_->close(word(info, 0), word(info, 1));
    }
  }
  Napi::Value queuedBytes(const Napi::CallbackInfo& info) {
    return number(info, sender_ == nullptr ? -EBADF : sender_->queuedBytes(word(info, 0)));
  }
  void releasePages(const Napi::CallbackInfo& info) {
    if (sender_ != nullptr) {
      sender_->releasePages(word(info, 0));
    }
  }
  void park(const Napi::CallbackInfo& info) {
    if (sender_ != nullptr) {
      sender_->park(info[0].As<Napi::Number>().DoubleValue());
    }
  }
  Napi::Value destroy(const Napi::CallbackInfo& info) {
    return number(info, end(info[0].As<Napi::Number>().DoubleValue()));
  }
  Napi::Value features(const Napi::CallbackInfo& info) {
    Napi::Array list = Napi::Array::New(info.Env(), features_.size());
    for (uint32_t i = 0; i < features_.size(); i++) {
      list.Set(i, features_[i]);
    }
    return list;
  }

  std::unique_ptr<Sender> sender_;
  std::vector<std::string> features_;
  std::vector<Napi::ObjectReference> views_;
  napi_env env_ = nullptr;
  int32_t held_ = 0;
};

}  // namespace ackgate
