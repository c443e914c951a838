// Registers the addon; one set of exports per environment, so that any number of Workers can load it.
#include <napi.h>

#include "binding_functions.h"
#include "binding_sender.h"

namespace {

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  ackgate::defineFunctions(env, exports);
  ackgate::SenderBinding<ackgate::UringSender>::define(env, exports, "UringSender");
  ackgate::SenderBinding<ackgate::PosixSender>::define(env, exports, "PosixSender");
  return exports;
}

}  // namespace

NODE_API_MODULE(ackgate, initialise)
