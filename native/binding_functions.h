#pragma once

#include <napi.h>

namespace ackgate {

/** Exports the functions on descriptors, probing, and the layout. */
void defineFunctions(Napi::Env env, Napi::Object exports);

}  // namespace ackgate
